#!/usr/bin/env python3
"""Checks docs/amqp.md against the sources and the tests that it names.

What there is, the sources say: methods in methods_generated.h (which generate.py writes from the
specification), properties in properties.h, reply codes in reply_code.*, names of arguments, headers
and capabilities and the texts of errors in the string literals of src/session and src/broker. All of
it has to be in the page, nothing else may be in the first column of its tables, and every test that
is named has to exist and to mention what it is said to show.

  amqp_reference.py              prints what is wrong; fails if something is
  amqp_reference.py --self-test  damages the page and the sources, each in one way, and fails if the
                                 check does not notice
"""

import functools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = "docs/amqp.md"
POLICIES = "docs/policies.md"
METHODS = "src/amqp/methods_generated.h"
PROPERTIES = "src/amqp/properties.h"
REPLY_CODES_H = "src/amqp/reply_code.h"
REPLY_CODES_CC = "src/amqp/reply_code.cc"
POLICY = "src/broker/policy.cc"
HANDSHAKE = "src/session/handshake.cc"
# Of src/amqp: what these decoders say goes to the peer. Those of methods and properties look at the
# tables inside, so table.cc is never the one to complain.
DECODERS = {"src/amqp/frame.cc", "src/amqp/method.cc", "src/amqp/properties.cc"}

# Where one word in quotes is no name on the wire: names of files' and records' parts, pieces of
# longer names, words for people.
NO_NAMES = {
    "of the node": {"Landfall", "landfall", "C++", "guest", "s"},
    "types of fields, in texts only": {
        "array", "binary", "bool", "byte", "decimal", "double", "float", "long", "longstr",
        "short", "signedint", "table", "unsignedbyte", "unsignedint", "unsignedshort", "void"},
    "parts of texts": {"false", "none", "nothing", "true", "unknown", "no_integer"},
    "lines of the journal and of the ledger": {
        "acked", "dead_lettered", "deleted", "dropped", "expired", "max_length", "policy", "purged",
        "quarantined", "released"},
    "events of stories, in queues.md": {
        "arrived", "consumer_gone", "delivered", "landed", "lease_expired", "lost", "moved",
        "queue_deleted", "received", "refused", "repeat", "requeued", "returned"},
    "states of a connection, in http-api.md": {
        "blocked", "blocking", "closing", "flow", "running", "starting"},
    "prefixes, alphabets and stand-ins": {
        "x-", "delayed-retry-", "amq.gen-AAAAAAAAAAAAAAAAAAAAAA",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"},
    "scopes of policies, in policies.md": {
        "all", "queues", "classic_queues", "quorum_queues", "exchanges"},
}

# Texts that are behind one of these go to the log, to a file's reader or to nobody.
NOT_FOR_PEERS = re.compile(r"\b(CloseSocket \(|RefuseLogin \(|LANDFALL_ASSERT \(|"
                           r"Fail \( ErrorCode::kCorrupt ,|end_reason_ =|why =|"
                           r"Tell(?:Of|Gone) \( [^()]*,)$")
# Nor do those of these files: what stories, the journal and the topology's records say to a person.
SILENT_FILES = {"effective_config.cc", "ledger.cc", "shard_record_describe.cc",
                "shard_record_read.cc", "shard_stories.cc", "story.cc", "topology_record.cc",
                "topology_snapshot.cc", "worker.cc", "working_topology.cc"}
# Texts for who sets a policy; AMQP has no method for that.
POLICY_FILES = {"policy.cc"}

VARIABLE = "…"


# ------------------------------------------------------------------------------------------ sources

class Tree:
    """The files as they are, or as a self-test wants them."""

    def __init__(self, changed=None):
        self.changed = changed or {}

    def read(self, path):
        if path in self.changed:
            return self.changed[path]
        return read_file(path)

    def sources(self, folder):
        for path in list_sources(folder):
            yield path, self.read(path)


@functools.cache
def read_file(path):
    return (ROOT / path).read_text()


@functools.cache
def list_sources(folder):
    return sorted(str(p.relative_to(ROOT)) for p in (ROOT / folder).iterdir()
                  if p.suffix in (".cc", ".h")
                  and not re.search(r"_(test|testing|harness|generated)\.", p.name))


TOKEN = re.compile(r'\s+|//[^\n]*|(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<char>\'(?:[^\'\\\n]|\\.)\')'
                   r"|(?P<word>\w[\w:]*)|(?P<other>->|::|.)", re.S)


def tokens_of(text):
    """(kind, text) of each token; adjacent string literals are one."""
    text = re.sub(r"(?m)^\s*#.*$", "", text)
    tokens = []
    for match in TOKEN.finditer(text):
        kind = match.lastgroup
        if kind is None:
            continue
        token = match.group()
        if kind == "string":
            token = unescaped(token[1:-1])
            if tokens and tokens[-1][0] == "string":
                tokens[-1] = ("string", tokens[-1][1] + token)
                continue
        tokens.append((kind, token))
    return tokens


def unescaped(literal):
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t", "0": "\0"}.get(m[1], m[1]), literal)


OPENING, CLOSING = "([{", ")]}"
# Where an expression that a text is part of begins and ends.
BORDERS = {",", ";", "?", ":", "=", "return", "<", "{", "}"}


def bounds(tokens, at):
    """The tokens of the expression around a literal, inside the innermost brackets."""
    first = at
    depth = 0
    while first > 0:
        kind, token = tokens[first - 1]
        if kind != "string":
            if token in CLOSING:
                depth += 1
            elif token in OPENING:
                if depth == 0:
                    break
                depth -= 1
            elif depth == 0 and (token in BORDERS or token == "+="):
                break
        first -= 1
    last = at
    while last + 1 < len(tokens):
        kind, token = tokens[last + 1]
        if kind != "string":
            if token in OPENING:
                depth += 1
            elif token in CLOSING:
                if depth == 0:
                    break
                depth -= 1
            elif depth == 0 and token in BORDERS:
                break
        last += 1
    return first, last


def template_of(tokens):
    """An expression as a text: what is no literal is VARIABLE."""
    parts, depth, literal = [], 0, False
    for kind, token in tokens:
        if kind == "string" and depth == 0:
            parts.append(token)
            literal = True
            continue
        if kind != "string" and token in OPENING:
            depth += 1
        elif kind != "string" and token in CLOSING:
            depth -= 1
        elif depth == 0 and token == "+":
            literal = False
            continue
        if not literal and (not parts or parts[-1] != VARIABLE):
            parts.append(VARIABLE)
    return "".join(parts)


def with_format(text):
    """A text of fmt::format: its fields are VARIABLE."""
    return re.sub(r"\{\{|\}\}|\{[^{}]*\}",
                  lambda m: m.group()[0] if m.group() in ("{{", "}}") else VARIABLE, text)


def wrapped_literal(tokens, at):
    """The last token of std::string("…"), or of fmt::format("…", …), around a literal."""
    if at < 2 or tokens[at - 1][1] != "(":
        return None
    callee = tokens[at - 2][1]
    if callee not in ("fmt::format", "std::string", "std::string_view"):
        return None
    depth, last = 1, at
    while depth:
        last += 1
        kind, token = tokens[last]
        if kind != "string":
            depth += (token in OPENING) - (token in CLOSING)
    return callee, last


# A literal that is part of a text for people, rather than a name.
SENTENCE = re.compile(r"[A-Za-z]{2}[^A-Za-z]* | [a-z]{2}|[a-z]=|\{\w+,")


def texts_of(source):
    """(code or None, template, what encloses it) of every sentence in a source file."""
    tokens = tokens_of(source)
    # First what wraps a literal is taken off, so that only sums are left.
    flat, i = [], 0
    while i < len(tokens):
        kind, token = tokens[i]
        if kind == "string":
            wrapped = wrapped_literal(tokens, i)
            if wrapped:
                callee, last = wrapped
                del flat[-2:]
                flat.append(("string", with_format(token) if callee == "fmt::format" else token))
                i = last + 1
                continue
        flat.append((kind, token))
        i += 1
    texts = []
    for at, (kind, token) in enumerate(flat):
        if kind != "string" or not SENTENCE.search(token):
            continue
        first, last = bounds(flat, at)
        template = template_of(flat[first:last + 1])
        before = " ".join(t for _, t in flat[max(0, first - 12):first])
        code = None
        call = re.search(r"ReplyCode::k(\w+) ,$", before)
        if call:
            code = call[1]
        texts.append((code, template, before))
    return texts


def truth(tree):
    """What there is, from the sources."""
    found = {}
    header = tree.read(METHODS)
    found["methods"] = dict(
        re.findall(r'struct (\w+) \{\s+static constexpr MethodId kId[^;]*;\s+'
                   r'static constexpr std::string_view kName = "([^"]+)";', header))
    found["methods"] = {name: struct for struct, name in found["methods"].items()}
    fields = set(re.findall(r"^  [\w:]+ (\w+)(?:\{\}| = [^;()]*);", header, re.M))
    found["fields"] = fields
    found["outcomes"] = {o.lower() for o in re.findall(
        r"k(\w+) = \d", re.search(r"enum class ConfirmOutcome.*?\};", header, re.S)[0])}
    view = re.search(r"struct PropertiesView \{.*?\n\s*\n", tree.read(PROPERTIES), re.S)[0]
    found["properties"] = set(re.findall(r"^  \w+ (\w+)(?:\{\}| = 0);", view, re.M)) - {"flags"}
    codes = {name: int(value) for name, value in re.findall(
        r"^  k(\w+) = (\d+),$", tree.read(REPLY_CODES_H), re.M)}
    names = dict(re.findall(r'case ReplyCode::k(\w+):\s+return "([A-Z_]+)";',
                            tree.read(REPLY_CODES_CC)))
    hard = re.search(r"bool IsHardError.*", tree.read(REPLY_CODES_CC), re.S)[0]
    hard_names = set(re.findall(r"case ReplyCode::k(\w+):", hard))
    found["codes"] = {value: (names.get(name, "?"), value >= 500 or name in hard_names, name)
                      for name, value in codes.items()}

    words, texts, sent = {}, [], set()
    for folder in ("src/session", "src/broker", "src/amqp"):
        for path, source in tree.sources(folder):
            file = pathlib.Path(path).name
            if path in (REPLY_CODES_CC, REPLY_CODES_H):
                continue
            if folder != "src/amqp":
                for kind, token in tokens_of(source):
                    if kind == "string" and re.fullmatch(r"[A-Za-z][\w.+-]*", token):
                        words.setdefault(token, file)
                sent |= set(re.findall(
                    r"(?:Refuse\(|Exception\{|refused = |static_cast<uint16_t>\(|Exception \w+\{)"
                    r"\s*(?:amqp::)?ReplyCode::k(\w+)(?!\)\))(?![\w]*\)\) \{)", without_compares(source)))
            if folder == "src/amqp" and path not in DECODERS:
                continue
            sent |= set(re.findall(r"\.reply = ReplyCode::k(\w+)", source))
            if file in SILENT_FILES or file in POLICY_FILES:
                continue
            for code, template, before in texts_of(source):
                if NOT_FOR_PEERS.search(before):
                    continue
                named = re.match(r"([A-Z]+_[A-Z_]+) - (.*)", template, re.S)
                if named:
                    template = named[2]
                    code = next((n for n, (name, _, n2) in
                                 ((k, v) for k, v in found_codes(found)) if name == named[1]), code)
                texts.append((code, template, file))
    found["words"] = words
    found["texts"] = texts
    found["sent"] = sent
    keys = re.search(r"constexpr Key kKeys\[\] = \{(.*?)\n\};", tree.read(POLICY), re.S)[1]
    found["policy keys"] = {name: bool(flag) for name, flag in
                            re.findall(r'\{"([\w-]+)", "[^"]*"(, true)?\}', keys)}
    server = re.search(r"ServerProperties\(.*?\n\}", tree.read(HANDSHAKE), re.S)[0]
    found["server capabilities"] = {n: v == "true" for n, v in
                                    re.findall(r'\{"([\w.]+)", (true|false)\}', server)}
    return found


def found_codes(found):
    return [(key, value) for _, value in found["codes"].items() for key in [value[2]]]


def without_compares(source):
    return re.sub(r"[!=]= static_cast<uint16_t>\([\w:]*\)", "", source)


# --------------------------------------------------------------------------------------------- page

def page_rows(page):
    """(section, header cells, cells) of every row of every table."""
    section, head = "", None
    lines = page.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("#"):
            section, head = line.lstrip("# "), None
        elif line.startswith("|"):
            cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
            if head is None:
                head = cells
            elif not re.fullmatch(r"\|[-| ]*\|", line):
                yield section, head, cells
        else:
            head = None


def codes_in(cell):
    return re.findall(r"`([^`]+)`", cell)


TEST = re.compile(r"((?:\w+/)?[\w-]+\.(?:cc|py))(?:: (\w+))?")
# In prose: (`file`: Test, Test).
TESTS_IN_PROSE = re.compile(r"\(`((?:\w+/)?\w+\.(?:cc|py))`: (\w+(?:, \w+)*)\)")
NEXT_TEST = re.compile(r"^(?:TEST|def |@pytest|\}  // namespace)", re.M)


@functools.cache
def test_files():
    files = {}
    for pattern in ("src/*/*_test.cc", "test/*/*.py", "test/*/*.cc"):
        for path in ROOT.glob(pattern):
            files.setdefault(path.name, []).append(str(path.relative_to(ROOT)))
    return files


def test_text(tree, file, case):
    """The text of a test with what its file shares, its own text, what is wrong with the name."""
    paths = [p for p in test_files().get(file.split("/")[-1], []) if p.endswith("/" + file)]
    if len(paths) != 1:
        return "", "", (f"there is no test file {file}" if not paths else
                        f"{file} is more than one file")
    text = own = tree.read(paths[0])
    if case:
        pattern = (rf"^TEST(?:_F|_P)?\(\w+, {case}\)" if file.endswith(".cc")
                   else rf"^def {case}\(")
        begin = re.search(pattern, text, re.M)
        if not begin:
            return "", "", f"{file} has no test {case}"
        end = NEXT_TEST.search(text, begin.end())
        own = text[begin.start():end.start() if end else None]
    for include in re.findall(r'#include "([\w/]+_(?:harness|testing)\.h)"', text):
        text += tree.read("src/" + include)
    return joined(text), joined(own), None


def joined(text):
    """With the parts of long literals put together."""
    return re.sub(r'"\s*\n?\s*[fb]?"', "", text).replace('\\"', '"').replace("\\'", "'")


def mentions_method(text, name, struct):
    class_, method = name.split(".")
    under = method.replace("-", "_")
    camel = "".join(p.capitalize() for p in method.split("-"))
    return any(form in text for form in (struct, f"{class_}_{under}", name,
                                         f"{class_.capitalize()}.{camel}"))


class Check:
    def __init__(self, tree):
        self.tree = tree
        self.truth = truth(tree)
        self.page = tree.read(PAGE)
        self.rows = list(page_rows(self.page))
        self.wrong = []

    def fail(self, sentence):
        self.wrong.append(sentence)

    def run(self):
        self.check_methods()
        self.check_names()
        self.check_capabilities()
        self.check_codes()
        self.check_texts()
        self.check_tests()
        self.check_policies()
        return self.wrong

    def check_methods(self):
        methods = self.truth["methods"]
        if len(methods) < 60:
            self.fail(f"only {len(methods)} methods were found in {METHODS}")
        listed = set()
        for section, _, cells in self.rows:
            names = [c for c in codes_in(cells[0]) if c in methods]
            listed |= set(names)
        for name in sorted(set(methods) - listed):
            self.fail(f"method {name} is in no row's first column")
        classes = {name.split(".")[0] for name in methods}
        for class_ in sorted(classes):
            if not re.search(rf"^## .*`{class_}`", self.page, re.M):
                self.fail(f"class {class_} has no section")
        for heading in re.findall(r"^## .*", self.page, re.M):
            for named in re.findall(r"[Cc]lass `(\w+)`", heading):
                if named not in classes:
                    self.fail(f"there is no class {named}")

    def check_names(self):
        words = self.truth["words"]
        known = (set(words) | set(self.truth["methods"]) | self.truth["properties"]
                 | self.truth["fields"] | self.truth["outcomes"] | set(self.truth["policy keys"]))
        in_page = set()
        for code in codes_in(self.page):
            in_page |= {code, code.removesuffix(VARIABLE)} | set(re.split(r"[,=] ?| ", code))
        exempt = set().union(*NO_NAMES.values())
        policy_only = set(self.truth["policy keys"])
        for name in sorted((set(words) | self.truth["properties"] | self.truth["outcomes"]) - exempt
                           - policy_only - in_page):
            self.fail(f"'{name}' of {words.get(name, 'src/amqp')} is not in the page")
        for reason, names in NO_NAMES.items():
            for name in sorted(names - set(words) - {"C++", "no_integer"}):
                self.fail(f"'{name}' ({reason}) is exempt, and in no source")
        for section, head, cells in self.rows:
            if head[0] in ("text", "code"):
                continue
            if cells[1].startswith("not there"):
                continue
            for name in codes_in(cells[0]):
                if name not in known and name.removesuffix("…") not in known:
                    self.fail(f"{section}: '{name}' is no method, argument, header or property")

    def check_capabilities(self):
        listed = {}
        for section, head, cells in self.rows:
            if head[0] == "capability of the broker":
                for name in codes_in(cells[0]):
                    listed[name] = cells[1].startswith("yes")
        if listed != self.truth["server capabilities"]:
            self.fail(f"the broker says {self.truth['server capabilities']}, the page {listed}")

    def check_codes(self):
        listed = set()
        for section, head, cells in self.rows:
            if head[0] != "code":
                continue
            number, name = re.match(r"(\d+) `(\w+)`", cells[0]).groups()
            listed.add(int(number))
            expected = self.truth["codes"].get(int(number))
            if expected is None:
                self.fail(f"there is no reply code {number}")
                continue
            if name != expected[0]:
                self.fail(f"reply code {number} is {expected[0]}, not {name}")
            never = "never sent" in cells[2]
            if never == (expected[2] in self.truth["sent"]):
                self.fail(f"reply code {number} is {'sent' if never else 'never sent'}")
            closes = "connection" if expected[1] else "channel"
            if not never and closes != cells[1] and cells[1] != "nothing":
                self.fail(f"reply code {number} closes the {closes}")
            if cells[1] == "nothing" and int(number) >= 400:
                self.fail(f"reply code {number} closes the {closes}")
        for number in sorted(set(self.truth["codes"]) - listed):
            self.fail(f"reply code {number} is not in the table")

    def check_texts(self):
        by_code, all_texts = {}, []
        for section, head, cells in self.rows:
            if head[0] == "text":
                for text in codes_in(cells[0]):
                    number = int(cells[1])
                    if number not in self.truth["codes"]:
                        self.fail(f"'{text}': there is no reply code {number}")
                        continue
                    code = self.truth["codes"][number][2]
                    by_code.setdefault(code, []).append(text)
                    all_texts.append((code, text))
        spans = codes_in(self.page)
        patterns = []
        for code, template, file in self.truth["texts"]:
            pattern = ".+".join(re.escape(p) for p in template.split(VARIABLE))
            patterns.append((code, re.compile(pattern, re.S)))
            if code:
                if not any(re.fullmatch(pattern, text, re.S) for text in by_code.get(code, [])):
                    number = next(n for n, v in self.truth["codes"].items() if v[2] == code)
                    self.fail(f"{file} raises {number} with '{template}', which is not in the page")
            elif not any(re.search(pattern, span, re.S) for span in spans):
                self.fail(f"{file} has the text '{template}', which is not in the page")
        for code, text in all_texts:
            exact = any(c == code and p.fullmatch(text) for c, p in patterns)
            passed_on = any(c is None and p.search(text) for c, p in patterns)
            if not exact and not passed_on:
                self.fail(f"no source raises {code} with '{text}'")

    def check_tests(self):
        for section, head, cells in self.rows:
            if head[-1] != "shown by":
                continue
            if len(cells) != len(head):
                self.fail(f"{section}: the row '{cells[0]}' has {len(cells)} cells")
                continue
            references = [TEST.fullmatch(code) for code in codes_in(cells[-1])]
            if not references or None in references:
                self.fail(f"{section}: '{cells[0]}' names no test, or something else")
                continue
            texts = []
            for file, case in (r.groups() for r in references):
                text, own, problem = test_text(self.tree, file, case)
                if problem:
                    self.fail(f"{section}: '{cells[0]}': {problem}")
                # A text has to be in the test itself; a method may be called by what tests share.
                texts.append(own if head[0] == "text" else text)
            if cells[1].startswith("not there"):
                continue
            for name in codes_in(cells[0]):
                if any(self.mentions(head[0], text, name) for text in texts):
                    continue
                self.fail(f"{section}: no test named for '{name}' mentions it")
        for file, cases in TESTS_IN_PROSE.findall(self.page):
            for case in cases.split(", "):
                if problem := test_text(self.tree, file, case)[2]:
                    self.fail(problem)

    def mentions(self, kind, text, name):
        if kind == "text":
            return longest_part(name) in text
        struct = self.truth["methods"].get(name)
        if struct and mentions_method(text, name, struct):
            return True
        return not struct and name.removesuffix(VARIABLE) in text

    def check_policies(self):
        listed = {}
        for _, head, cells in page_rows(self.tree.read(POLICIES)):
            if head[0] != "key":
                continue
            prefix = ""
            for key in codes_in(cells[0]):
                if key.startswith("-"):
                    key = prefix + key
                else:
                    prefix = key.rsplit("-", 1)[0]
                listed[key] = cells[1] == "yes"
        if listed != self.truth["policy keys"]:
            differ = sorted(set(listed.items()) ^ set(self.truth["policy keys"].items()))
            self.fail(f"{POLICIES} and {POLICY} differ in the keys {differ}")


def longest_part(text):
    """What a test that is about a text has to say of it, at least."""
    return max((re.sub(r"^\W+|\W+$", "", part) for part in text.split(VARIABLE)), key=len)


# ---------------------------------------------------------------------------------------- self-test

def replaced(path, old, new):
    text = read_file(path)
    assert old in text, f"{path} has no {old!r} to damage"
    return {path: text.replace(old, new)}


DAMAGES = [
    ("a method without a row", lambda: replaced(PAGE, "| `basic.get`, ", "| "),
     "method basic.get "),
    ("a method that does not exist", lambda: replaced(PAGE, "| `basic.get`, ",
                                                      "| `basic.fetch`, `basic.get`, "),
     "'basic.fetch' is no method"),
    ("a method of the generated header that nobody has described",
     lambda: replaced(METHODS, '"basic.get"', '"basic.peek"'), "method basic.peek "),
    ("an argument without a row",
     lambda: {PAGE: read_file(PAGE).replace("`x-max-length`", "its length")},
     "'x-max-length' of "),
    ("an argument that the source has grown",
     lambda: replaced("src/broker/queue_config.cc", 'reader.Milliseconds("x-expires")',
                      'reader.Milliseconds("x-evaporates")'), "'x-evaporates' of queue_config.cc"),
    ("an argument that does not exist", lambda: replaced(PAGE, "| `x-expires`",
                                                         "| `x-evaporates`"),
     "'x-evaporates' is no method"),
    ("a reply code with another name", lambda: replaced(PAGE, "404 `NOT_FOUND`", "404 `MISSING`"),
     "reply code 404 is NOT_FOUND"),
    ("a reply code without a row", lambda: {PAGE: re.sub(r"(?m)^\| 541 .*\n", "", read_file(PAGE))},
     "reply code 541 is not"),
    ("a code that is said to be never sent and is",
     lambda: {PAGE: re.sub(r"(?m)^(\| 506 `\w+` \| \w+ \|)[^|]*", r"\1 never sent ",
                           read_file(PAGE))}, "reply code 506 is sent"),
    ("a text that has changed", lambda: replaced("src/session/channel_tx.cc",
                                                 "channel is not transactional",
                                                 "this channel has no transaction"),
     "raises 406 with 'this channel has no transaction'"),
    ("a text that nobody sends any more",
     lambda: replaced("src/session/channel_tx.cc", "channel is not transactional",
                      "this channel has no transaction"),
     "no source raises PreconditionFailed with 'channel is not transactional'"),
    ("a text under another code",
     lambda: replaced("src/session/channel_consume.cc",
                      'ReplyCode::kNotAllowed, "attempt to reuse',
                      'ReplyCode::kPreconditionFailed, "attempt to reuse'),
     "raises 406 with 'attempt to reuse"),
    ("a test that has been renamed",
     lambda: replaced("src/session/channel_test.cc", "TEST_F(Channels, AreOpenedOnce)",
                      "TEST_F(Channels, AreOpenedTwice)"), "has no test AreOpenedOnce"),
    ("a test that does not mention it",
     lambda: replaced("src/session/channel_test.cc", "AccessRequest", "SomethingElse"),
     "no test named for 'access.request' mentions it"),
    ("a test file that does not exist", lambda: replaced(PAGE, "`channel_test.cc: AreOpenedOnce`",
                                                         "`canal_test.cc: AreOpenedOnce`"),
     "there is no test file canal_test.cc"),
    ("a capability that is not announced any more",
     lambda: replaced(HANDSHAKE, '{"basic.nack", true}', '{"basic.nack", false}'),
     "the broker says"),
    ("a policy key that nobody has described",
     lambda: replaced(POLICY, '{"overflow", ', '{"overfill", "x"},\n    {"overflow", '),
     "differ in the keys"),
]


def self_test():
    failures = Check(Tree()).run()
    for what, damage, expected in DAMAGES:
        wrong = Check(Tree(damage())).run()
        if not any(expected in sentence for sentence in wrong):
            failures.append(f"{what}: not noticed")
    return failures


def main():
    wrong = self_test() if sys.argv[1:] == ["--self-test"] else Check(Tree()).run()
    for sentence in wrong:
        print(sentence)
    if wrong:
        sys.exit(f"{len(wrong)} differences between {PAGE} and what it speaks of")


if __name__ == "__main__":
    main()
