"""script/server does what it prints: a newcomer's first minute."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))

from broker import ROOT, die_with_parent, wait_until  # noqa: E402


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(directory, arguments, **environment):
    log = (directory / "log").open("wb")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LANDFALL_")}
    return subprocess.Popen([ROOT / "script" / "server", *arguments], cwd=directory, stdout=log,
                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                            env={**clean, "XDG_STATE_HOME": str(directory / "state"), **environment},
                            preexec_fn=die_with_parent)


def listening(process, directory):
    def look():
        text = (directory / "log").read_text(errors="replace")
        assert process.poll() is None, text
        return text if "listening" in text else None
    return wait_until(look, "script/server listens", 300)


def stop(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_the_three_lines_that_it_prints_work(tmp_path):
    process = start(tmp_path, ["--amqp-listen", f"127.0.0.1:{free_port()}", "--http-listen", "none"])
    try:
        text = listening(process, tmp_path)
        lines = re.search(r"^Try it in another terminal:\n((?:  .*\n)+)", text, re.M)[1]
        assert len(lines.splitlines()) == 3
        # The last of them receives until it is stopped.
        script = lines.rstrip() + " --count 1\n"
        done = subprocess.run(["bash", "-e", "-c", script], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0, done.stderr
        assert "Hello, world" in done.stdout
        assert (tmp_path / "state" / "landfall" / "journal").is_dir()
    finally:
        stop(process)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm builds the console")
def test_the_console_is_where_it_says(tmp_path):
    process = start(tmp_path, ["--amqp-listen", f"127.0.0.1:{free_port()}", "--http-listen",
                               f"127.0.0.1:{free_port()}"])
    try:
        address = re.search(r"^Its web console is on (http://\S+)", listening(process, tmp_path),
                            re.M)[1]
        with urllib.request.urlopen(address) as page:
            assert b"<title>Landfall</title>" in page.read()
    finally:
        stop(process)


def test_the_data_directory_of_a_configuration_file_is_the_one_it_uses(tmp_path):
    config = tmp_path / "landfall.toml"
    config.write_text(f'data_dir = "{tmp_path}/here"\namqp_listen = "127.0.0.1:0"\n'
                      'http_listen = "none"\n')
    process = start(tmp_path, [], LANDFALL_CONFIG=str(config))
    try:
        listening(process, tmp_path)
        assert (tmp_path / "here" / "journal").is_dir()
        assert not (tmp_path / "state").exists()
    finally:
        stop(process)
