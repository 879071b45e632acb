"""A broker that speaks TLS, and what makes its certificates."""

import re
import signal
import ssl
import subprocess

import pika

from broker import Broker, program, wait_until


class Authority:
    """Makes certificates in a directory."""

    def __init__(self, directory, name="authority"):
        self.directory = directory
        self.name = name
        self._openssl("req", "-x509", *self._new_key(name), "-subj", f"/CN={name}",
                      "-out", self.path(name, "pem"))

    def path(self, name, kind):
        return self.directory / f"{name}.{kind}"

    def issue(self, name, common_name=None, names="DNS:localhost,IP:127.0.0.1"):
        """NAME.pem and NAME.key."""
        self._openssl("req", *self._new_key(name), "-subj", f"/O=Landfall/CN={common_name or name}",
                      "-addext", f"subjectAltName={names}",
                      "-out", self.path(name, "csr"))
        self._openssl("x509", "-req", "-in", self.path(name, "csr"), "-copy_extensions", "copyall",
                      "-CA", self.path(self.name, "pem"), "-CAkey", self.path(self.name, "key"),
                      "-CAcreateserial", "-days", "1", "-out", self.path(name, "pem"))
        return self.path(name, "pem"), self.path(name, "key")

    def client(self, name=None, version=None):
        """What a client needs to trust this authority and, with a name, to show its certificate."""
        context = ssl.create_default_context(cafile=self.path(self.name, "pem"))
        if name:
            context.load_cert_chain(self.path(name, "pem"), self.path(name, "key"))
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def _new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.path(name, "key")]

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class TlsBroker(Broker):
    def __init__(self, workers, directory, *arguments):
        self.authority = Authority(directory)
        certificate, key = self.authority.issue("broker")
        super().__init__(workers, ["--amqps-listen", "127.0.0.1:0", "--tls-certificate",
                                   certificate, "--tls-key", key, *arguments])
        self.tls_port = int(re.search(r"\bamqps=[^\s]*?:(\d+)", self.log())[1])
        # A broker that is started again listens where it did.
        self.arguments[self.arguments.index("--amqps-listen") + 1] = f"127.0.0.1:{self.tls_port}"

    def kill_and_start(self):
        self.kill()
        self.start()

    def tls_parameters(self, context, **more):
        parameters = self.parameters(**more)
        parameters.port = self.tls_port
        parameters.ssl_options = pika.SSLOptions(context, "localhost")
        return parameters

    def connect_tls(self, context, **more):
        return pika.BlockingConnection(self.tls_parameters(context, **more))

    def user(self, verb, *arguments, password=None):
        subprocess.run([program("landfall"), "user", verb, "--data-dir", self.data, *arguments],
                       input=password, text=True, check=True, capture_output=True)
        self.reload()

    def reload(self):
        before = self.log().count("certificates ")
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log().count("certificates ") > before, "certificates are read")
