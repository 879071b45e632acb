"""What packaging/ has for Prometheus and Grafana, against what a broker's /metrics really says."""

import json
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest
from broker import ROOT, die_with_parent, wait_until

DASHBOARD = ROOT / "packaging" / "grafana" / "landfall.json"
RULES = ROOT / "packaging" / "prometheus" / "landfall.rules.yml"
RULE_CASES = ROOT / "test" / "interop" / "data" / "landfall.rules.test.yml"
GUIDE = ROOT / "docs" / "monitoring.md"


def tool(name):
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not there: script/setup interop installs it, with prometheus")
    return found


def promtool(*arguments):
    done = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def alerts():
    """The name and expression of each; the file's layout is ours."""
    text = RULES.read_text()
    found = re.findall(r"- alert: (\w+)\n\s+expr:(.*?)\n\s+(?:for|labels):", text, re.S)
    assert len(found) == text.count("- alert:") > 0
    return [(name, expression.strip().removeprefix(">-")) for name, expression in found]


def queries():
    """Each panel's title and expressions, with the variables as a person would set them."""
    found = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            found.append((panel["title"], target["expr"].replace("$job", ".*")
                          .replace("$instance", ".*").replace("$__rate_interval", "10s")))
    return found


KEYWORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset", "inf", "nan"}


def metrics_in(expression):
    """The names of metrics in an expression: words that are neither called nor keywords."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring) *\([^)]*\)", " ", bare)
    words = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?! *\()\b(?! *\()", bare)
    return {word for word in words if word.lower() not in KEYWORDS}


def answered_metrics(api):
    names = set()
    for path in ("/metrics", "/metrics/per-object"):
        answer = api.get(path)
        assert answer.status == 200, answer
        names |= set(re.findall(rb"(?m)^([a-z_0-9]+)[{ ]", answer.body))
    return {name.decode() for name in names}


def test_names_of_metrics_are_found_in_expressions():
    """What the two tests below rest on."""
    assert metrics_in('sum by (le) (rate(a_bucket{job=~"$job", x!=""}[5m])) > 2 * b and c == 0') == {
        "a_bucket", "b", "c"}
    assert metrics_in("histogram_quantile(0.9, max without (job) (d))") == {"d"}


def test_the_rules_name_metrics_that_a_broker_has(api):
    there = answered_metrics(api) | {"up"}  # Prometheus's own
    for alert, expression in alerts():
        named = metrics_in(expression)
        assert named and named <= there, (alert, named - there)


def test_the_dashboard_names_metrics_that_a_broker_has(api):
    there = answered_metrics(api)
    assert len(queries()) > 30
    for title, expression in queries():
        named = metrics_in(expression)
        assert named and named <= there, (title, named - there)
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            assert re.match(r"label_values\((\w+),", variable["definition"])[1] in there


def test_the_dashboard_is_laid_out(api):
    """No panel over another, none beyond the edge, and every one of them with an id of its own."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = {}
    for panel in panels:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24 and (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]


def test_promtool_accepts_the_rules():
    code, said = promtool("check", "rules", str(RULES))
    assert code == 0, said


def test_the_rules_fire_when_they_should_and_only_then():
    code, said = promtool("test", "rules", str(RULE_CASES))
    assert code == 0, said


def test_every_alert_has_a_case_that_fires_and_one_that_does_not():
    asked = re.split(r"alertname: (\w+)", RULE_CASES.read_text())
    cases = list(zip(asked[1::2], asked[2::2]))
    for alert, _ in alerts():
        theirs = [case for name, case in cases if name == alert]
        assert any("exp_labels" in case for case in theirs), f"{alert} never fires"
        assert any("exp_alerts: []" in case.split("\n")[0] for case in theirs), f"{alert} always fires"


def test_the_guide_says_what_to_do_for_every_alert():
    text = GUIDE.read_text()
    for alert, _ in alerts():
        assert f"`{alert}`" in text, alert
    for named in re.findall(r"`(Landfall[A-Z]\w+)`", text):
        assert named in dict(alerts()), named


# --------------------------------------------------------------------------------- a real Prometheus


class Prometheus:
    """Scrapes one broker as docs/monitoring.md says, more often than anybody would."""

    def __init__(self, broker, directory):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        jobs = "".join(
            f"""
  - job_name: {job}
    metrics_path: {path}
    basic_auth: {{username: guest, password: guest}}
    static_configs: [{{targets: ["{broker.host}:{broker.http_port}"]}}]"""
            for job, path in (("landfall", "/metrics"), ("landfall-queues", "/metrics/per-object")))
        config = directory / "prometheus.yml"
        config.write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{RULES}"]
scrape_configs:{jobs}
""")
        self.log = open(directory / "prometheus.log", "wb")
        self.process = subprocess.Popen(
            [tool("prometheus"), f"--config.file={config}", f"--web.listen-address={self.address}",
             f"--storage.tsdb.path={directory / 'tsdb'}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=die_with_parent)

    def ask(self, path, **query):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it is starting
                return None
            raise AssertionError(f"{query}: {error.read().decode()}") from error
        except OSError:
            assert self.process.poll() is None, "Prometheus has ended"
            return None

    def value_of(self, expression):
        return self.ask("query", query=expression)["result"]

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


@pytest.fixture
def prometheus(http_broker, directory):
    tool("prometheus")
    running = Prometheus(http_broker, directory)
    yield running
    running.stop()


def traffic(broker):
    """A queue with a dead-letter exchange whose messages come, go, come again and fail."""
    connection = broker.connect()
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("failed", durable=True)
    channel.queue_declare("work", durable=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "failed"})
    for number in range(40):
        channel.basic_publish("", "work", b"work")
        method, _, _ = channel.basic_get("work")
        if number % 4 == 0:
            channel.basic_reject(method.delivery_tag, requeue=True)
            method, _, _ = channel.basic_get("work")
        if number % 2 == 0:
            channel.basic_reject(method.delivery_tag, requeue=False)
        else:
            channel.basic_ack(method.delivery_tag)
    connection.close()


# What is only there once it has happened: no checkpoint is made within seconds.
MAY_BE_EMPTY = {"Duration of checkpoints", "Pauses for checkpoints"}


def test_a_real_prometheus_shows_every_panel_and_evaluates_every_rule(http_broker, prometheus):
    wait_until(lambda: (targets := prometheus.ask("targets")) is not None
               and [target["health"] for target in targets["activeTargets"]] == ["up", "up"],
               "both jobs are scraped")
    wait_until(lambda: prometheus.value_of("landfall_ledger_accepted_total") != [], "a first look")
    traffic(http_broker)
    wait_until(lambda: any(float(series["value"][1]) > 0 for series in prometheus.value_of(
        'rate(landfall_ledger_left_total{reason="dead_lettered"}[10s])')), "dead letters are seen")
    for title, expression in queries():

        def shown(expression=expression, title=title):
            values = prometheus.value_of(expression)  # an error of syntax fails here
            return values and (title in MAY_BE_EMPTY
                               or all(series["value"][1] != "NaN" for series in values))

        wait_until(shown, f"{title} has something to show: {expression}")
    # By its subqueries it looks at whole minutes, so it need not fire now; but it is evaluated.
    rules = prometheus.ask("rules")["groups"][0]["rules"]
    assert {rule["name"] for rule in rules} == {name for name, _ in alerts()}
    wait_until(lambda: all(rule["health"] == "ok"
                           for rule in prometheus.ask("rules")["groups"][0]["rules"]),
               "every rule can be evaluated")


def test_an_alert_of_a_broker_that_is_gone_is_raised(own_broker, directory):
    tool("prometheus")
    own_broker.stop()  # it was without the API: nothing answers there, as when a broker is down
    own_broker.http_port = own_broker.port
    prometheus = Prometheus(own_broker, directory)
    try:
        wait_until(lambda: (groups := prometheus.ask("rules")) and any(
            alert["labels"]["alertname"] == "LandfallDown"
            for rule in groups["groups"][0]["rules"] for alert in rule["alerts"]),
            "the alert is pending")
    finally:
        prometheus.stop()
