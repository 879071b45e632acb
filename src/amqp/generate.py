#!/usr/bin/env python3
"""Writes methods_generated.h and methods_generated.cc from the AMQP 0-9-1 specification.

The specification is the machine-readable one with RabbitMQ's extensions, from Debian's package
amqp-specs; landfall_extension.json beside this file adds what it lacks and our own methods. The
result is formatted by clang-format-19 and checked in, so that a build needs neither.

  generate.py           writes both files
  generate.py --check   fails if they are not what would be written
"""

import argparse
import json
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
SPECIFICATION = pathlib.Path(
    "/usr/share/amqp/specs/0-9-1-rabbit/amqp0-9-1.stripped.extended.xml")
EXTENSION = HERE / "landfall_extension.json"

# Read and written in the header, so that the compiler can inline them into their callers.
HOT = {"basic.publish", "basic.deliver", "basic.ack", "basic.nack", "basic.reject",
       "landfall.confirm", "landfall.ack", "landfall.ack-landed"}

CPP_TYPES = {
    "octet": "uint8_t", "short": "uint16_t", "long": "uint32_t", "longlong": "uint64_t",
    "timestamp": "uint64_t", "bit": "bool", "shortstr": "ByteView", "longstr": "ByteView",
    "table": "TableView",
}
INTEGER_SIZES = {"octet": 1, "short": 2, "long": 4, "longlong": 8, "timestamp": 8}


def pascal(name):
    return "".join(word.capitalize() for word in name.split("-"))


def snake(name):
    return name.replace("-", "_")


class Field:
    def __init__(self, name, kind, reserved=False, enum=None, text=False):
        self.name = snake(name)
        self.kind = kind
        self.reserved = reserved
        self.enum = enum
        self.text = text

    @property
    def cpp_type(self):
        return self.enum or CPP_TYPES[self.kind]

    @property
    def declaration(self):
        # Every member has an initializer, so that designated initializers may leave any out.
        if self.kind == "bit":
            return f"bool {self.name} = false;"
        if self.kind in INTEGER_SIZES and not self.enum:
            return f"{self.cpp_type} {self.name} = 0;"
        return f"{self.cpp_type} {self.name}{{}};"


class Method:
    def __init__(self, class_name, class_index, name, index):
        self.full_name = f"{class_name}.{name}"
        self.struct = pascal(class_name) + pascal(name)
        self.id = class_index << 16 | index
        self.sent_by = set()
        self.content = False
        self.responses = []
        self.fields = []
        self.comment = None

    @property
    def visible(self):
        return [f for f in self.fields if not f.reserved]


def groups(fields):
    """The fields in order, runs of bits (at most eight) as one list that shares an octet."""
    result = []
    for field in fields:
        if field.kind != "bit":
            result.append(field)
        elif result and isinstance(result[-1], list) and len(result[-1]) < 8:
            result[-1].append(field)
        else:
            result.append([field])
    return result


def load():
    extension = json.loads(EXTENSION.read_text())
    root = ElementTree.parse(SPECIFICATION).getroot()
    domains = {d.get("name"): d.get("type") for d in root.findall("domain")}
    renames = extension["rename_fields"]
    texts = set(extension["texts"])
    methods = {}

    def add(method):
        if method.id in methods:
            sys.exit(f"{method.full_name}: its id is taken by {methods[method.id].full_name}")
        for other in extension["responses"].get(method.full_name, []):
            method.responses.append(other)
        methods[method.id] = method

    for spec_class in root.findall("class"):
        class_name, class_index = spec_class.get("name"), int(spec_class.get("index"))
        for spec in spec_class.findall("method"):
            method = Method(class_name, class_index, spec.get("name"), int(spec.get("index")))
            # A chassis names who must understand the method, which is who receives it.
            receivers = {c.get("name") for c in spec.findall("chassis")}
            method.sent_by = {"client" if r == "server" else "server" for r in receivers}
            method.content = spec.get("content") == "1"
            method.responses = [r.get("name") for r in spec.findall("response")]
            for field in spec.findall("field"):
                name = renames.get(method.full_name, {}).get(field.get("name"), field.get("name"))
                kind = domains[field.get("domain") or field.get("type")]
                method.fields.append(Field(name, kind, field.get("reserved") == "1",
                                           text=name in texts))
            add(method)

    for added_class in extension["classes"]:
        for added in added_class["methods"]:
            method = Method(added_class["name"], added_class["index"], added["name"],
                            added["index"])
            method.sent_by = set(added["sent_by"])
            method.content = added.get("content", False)
            method.responses = list(added.get("responses", []))
            method.comment = added.get("comment")
            for field in added["fields"]:
                enum = extension["enums"].get(field["type"])
                method.fields.append(
                    Field(field["name"], enum["type"] if enum else field["type"],
                          enum=pascal(field["type"]) if enum else None,
                          text=field["name"] in texts))
            add(method)

    return extension["enums"], [methods[i] for i in sorted(methods)]


def read_fields(method):
    lines = []
    for group in groups(method.fields):
        if isinstance(group, list):
            if all(f.reserved for f in group):
                lines.append("r.Big<uint8_t>();")
                continue
            lines.append("const auto bits = r.Big<uint8_t>();")
            for position, field in enumerate(group):
                if not field.reserved:
                    lines.append(f"m.{field.name} = (bits & {1 << position}) != 0;")
            continue
        if group.kind in INTEGER_SIZES:
            value = f"r.Big<{CPP_TYPES[group.kind]}>()"
        else:
            value = {"shortstr": "field::ReadShortString(r)", "longstr": "field::ReadLongString(r)",
                     "table": "field::ReadTable(r)"}[group.kind]
        if group.reserved:
            lines.append(f"{value};")
        elif group.enum:
            lines.append(f"m.{group.name} = static_cast<{group.enum}>({value});")
        else:
            lines.append(f"m.{group.name} = {value};")
    return lines


def value_of(field):
    if field.text:
        return f"field::CutText(m.{field.name})"
    return f"m.{field.name}"


def write_fields(method):
    lines = []
    for group in groups(method.fields):
        if isinstance(group, list):
            bits = [f"(m.{f.name} ? {1 << i} : 0)" for i, f in enumerate(group) if not f.reserved]
            lines.append(f"*p++ = static_cast<char>({' | '.join(bits) or '0'});")
        elif group.kind in INTEGER_SIZES:
            cpp = CPP_TYPES[group.kind]
            value = "0" if group.reserved else f"m.{group.name}"
            if group.enum:
                value = f"static_cast<{cpp}>({value})"
            lines.append(f"p = field::Write<{cpp}>(p, {value});")
        else:
            name = {"shortstr": "ShortString", "longstr": "LongString", "table": "Table"}[group.kind]
            value = "{}" if group.reserved else value_of(group)
            if group.reserved and group.kind == "table":
                value = "TableView()"
            lines.append(f"p = field::Write{name}(p, {value});")
    lines.append("return p;")
    return lines


def fields_size(method):
    fixed, variable = 0, []
    for group in groups(method.fields):
        if isinstance(group, list):
            fixed += 1
        elif group.kind in INTEGER_SIZES:
            fixed += INTEGER_SIZES[group.kind]
        else:
            fixed += 1 if group.kind == "shortstr" else 4
            if not group.reserved:
                suffix = ".bytes().size()" if group.kind == "table" else ".size()"
                variable.append(value_of(group) + suffix)
    return " + ".join([str(fixed)] + variable)


def functions(method, inline):
    prefix = "inline " if inline else ""
    reads = "ByteReader& r" if method.fields else "ByteReader&"
    filled = f"{method.struct}& m" if method.visible else f"{method.struct}&"
    given = f"const {method.struct}& m" if method.visible else f"const {method.struct}&"
    sized = fields_size(method)
    size_given = given if "m." in sized else f"const {method.struct}&"
    return [
        f"{prefix}void ReadFields({reads}, {filled}) {{", *read_fields(method), "}",
        f"{prefix}size_t FieldsSize({size_given}) {{ return {sized}; }}",
        f"{prefix}char* WriteFields(char* p, {given}) {{", *write_fields(method), "}", "",
    ]


def struct_comment(method):
    both = {"client", "server"}
    sender = ("Client to server." if method.sent_by == {"client"} else
              "Server to client." if method.sent_by == {"server"} else "Either way.")
    assert method.sent_by and method.sent_by <= both, method.full_name
    answers = f" Answered by {' or '.join(method.responses)}." if method.responses else ""
    return [f"// {sender}{answers}"] + ([f"// {method.comment}"] if method.comment else [])


def header(enums, methods):
    lines = [
        "// Written by generate.py from the AMQP 0-9-1 specification and landfall_extension.json.",
        "// Do not edit.",
        "#pragma once", "",
        "#include <cstddef>", "#include <cstdint>", "#include <string_view>", "#include <tuple>",
        "", '#include "amqp/field_codec.h"', '#include "amqp/table.h"', '#include "base/bytes.h"',
        '#include "base/wire.h"', "",
        "namespace landfall::amqp {", "",
        "// class << 16 | method.", "using MethodId = uint32_t;", "",
    ]
    for name, enum in enums.items():
        lines += [f"// {enum['comment']}",
                  f"enum class {pascal(name)} : {CPP_TYPES[enum['type']]} {{"]
        for value in enum["values"]:
            lines.append(f"k{pascal(value['name'])} = {value['value']},  // {value['comment']}")
        lines += ["};", ""]
    for m in methods:
        yes = {True: "true", False: "false"}
        names = ", ".join(f.name for f in m.visible)
        lines += struct_comment(m)
        lines += [
            f"struct {m.struct} {{",
            f"static constexpr MethodId kId = {m.id >> 16} << 16 | {m.id & 0xffff};",
            f'static constexpr std::string_view kName = "{m.full_name}";',
            f"static constexpr bool kHasContent = {yes[m.content]};",
            f"static constexpr bool kSynchronous = {yes[bool(m.responses)]};",
            f"static constexpr bool kSentByClient = {yes['client' in m.sent_by]};",
            f"static constexpr bool kSentByServer = {yes['server' in m.sent_by]};", "",
        ]
        if m.visible:
            lines += [f.declaration for f in m.visible] + [""]
        lines += [
            f"auto Fields() {{ return std::tie({names}); }}",
            f"bool operator==(const {m.struct}&) const = default;",
            "};", "",
        ]
    lines += [
        '// "basic.publish"; "unknown" for an id that is not known.',
        "std::string_view MethodName(MethodId id);",
        "bool IsKnownMethod(MethodId id);",
        "// Whether header and body frames follow.",
        "bool MethodHasContent(MethodId id);",
        "// Whether the client, or the server, may send it. False for an unknown id.",
        "bool IsSentByClient(MethodId id);",
        "bool IsSentByServer(MethodId id);", "",
        "template <class... M> struct MethodList {};",
        "using AllMethods = MethodList<" + ", ".join(m.struct for m in methods) + ">;", "",
        "// Calls visit(std::type_identity<M>()) for the method M of that id; false if there is none.",
        "template <class Visitor> bool VisitMethodType(MethodId id, Visitor&& visit) {",
        "switch (id) {",
    ]
    for m in methods:
        lines += [f"case {m.struct}::kId:", f"visit(std::type_identity<{m.struct}>());",
                  "return true;"]
    lines += ["default: return false;", "}", "}", "",
              "// The fields of a method payload behind its id. Decode and AppendMethod in method.h use"
              " these.", ""]
    for m in methods:
        if m.full_name in HOT:
            lines += functions(m, inline=True)
        else:
            lines += [f"void ReadFields(ByteReader& r, {m.struct}& m);",
                      f"size_t FieldsSize(const {m.struct}& m);",
                      f"char* WriteFields(char* p, const {m.struct}& m);", ""]
    lines += ["}  // namespace landfall::amqp"]
    text = "\n".join(lines) + "\n"
    return text.replace("#include <tuple>", "#include <tuple>\n#include <type_traits>")


def source(methods):
    lines = [
        "// Written by generate.py from the AMQP 0-9-1 specification and landfall_extension.json.",
        "// Do not edit.",
        '#include "amqp/methods_generated.h"', "",
        "namespace landfall::amqp {", "",
    ]

    def switch(signature, select, value, otherwise):
        chosen = [m for m in methods if select(m)]
        lines.extend([f"{signature} {{", "switch (id) {"])
        for m in chosen:
            lines.append(f"case {m.struct}::kId:")
            if value(m) is not None:
                lines.append(f"return {value(m)};")
        if value(chosen[-1]) is None:
            lines.append("return true;")
        lines.extend([f"default: return {otherwise};", "}", "}", ""])

    switch("std::string_view MethodName(MethodId id)", lambda m: True,
           lambda m: f"{m.struct}::kName", '"unknown"')
    switch("bool IsKnownMethod(MethodId id)", lambda m: True, lambda m: None, "false")
    switch("bool MethodHasContent(MethodId id)", lambda m: m.content, lambda m: None, "false")
    switch("bool IsSentByClient(MethodId id)", lambda m: "client" in m.sent_by, lambda m: None,
           "false")
    switch("bool IsSentByServer(MethodId id)", lambda m: "server" in m.sent_by, lambda m: None,
           "false")
    for m in methods:
        if m.full_name not in HOT:
            lines += functions(m, inline=False)
    lines += ["}  // namespace landfall::amqp"]
    return "\n".join(lines) + "\n"


def formatted(text, name):
    return subprocess.run(["clang-format-19", f"--assume-filename={HERE / name}"], input=text,
                          capture_output=True, text=True, check=True).stdout


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="compare, write nothing")
    check = arguments.parse_args().check
    enums, methods = load()
    stale = []
    for name, text in (("methods_generated.h", header(enums, methods)),
                       ("methods_generated.cc", source(methods))):
        path, wanted = HERE / name, formatted(text, name)
        if path.exists() and path.read_text() == wanted:
            continue
        stale.append(name)
        if not check:
            path.write_text(wanted)
    if check and stale:
        sys.exit(f"{' and '.join(stale)}: not what generate.py writes; run {HERE / 'generate.py'}")


if __name__ == "__main__":
    main()
