"""Checks an OpenAPI 3.1 document against this project's own rules. Needs only Python.

usage: python3 scripts/lint_openapi.py openapi/openapi.json
"""

import json
import sys

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
PROBLEM = "application/problem+json"
# Every other media type carries bytes, and a client generator must be told so.
TEXTUAL = ("application/json", PROBLEM, "text/", "multipart/", "application/x-www-form-urlencoded",
           "application/x-ndjson", "application/jsonl")


def pointer(document, ref):
    """What a local reference points to; KeyError where it points to nothing."""
    node = document
    for step in ref[2:].split("/"):
        step = step.replace("~1", "/").replace("~0", "~")
        node = node[int(step)] if isinstance(node, list) else node[step]
    return node


class Linter:
    def __init__(self, document):
        self.document = document
        self.problems = []
        self.refs = {}  # reference -> where it was first seen

    def problem(self, where, text):
        self.problems.append(f"{where}: {text}")

    def resolve(self, node):
        """Follows references; None where one of them leads nowhere or round in a circle."""
        seen = set()
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            ref = node["$ref"]
            if ref in seen or not ref.startswith("#/"):
                return None
            seen.add(ref)
            try:
                node = pointer(self.document, ref)
            except (KeyError, IndexError, ValueError, TypeError):
                return None
        return node

    # --- the whole document ---

    def run(self):
        self.info()
        self.walk(self.document, "#")
        for ref, where in self.refs.items():
            if self.resolve({"$ref": ref}) is None:
                self.problem(where, f"$ref {ref} leads nowhere")
        self.operations()
        self.unused()
        return self.problems

    def info(self):
        if not str(self.document.get("openapi", "")).startswith("3.1"):
            self.problem("#/openapi", f"is {self.document.get('openapi')!r}, not 3.1")
        licence = self.document.get("info", {}).get("license") or {}
        if not (licence.get("identifier") or licence.get("name")):
            self.problem("#/info/license", "neither identifier nor name is set")

    def walk(self, node, where):
        if isinstance(node, list):
            for index, item in enumerate(node):
                self.walk(item, f"{where}/{index}")
        elif isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                self.refs.setdefault(node["$ref"], where)
            if isinstance(node.get("discriminator"), dict):
                self.discriminator(node, where)
            for key, item in node.items():
                # An example is data: what looks like a reference in it is none.
                if key in ("example", "examples", "default", "const", "enum"):
                    continue
                self.walk(item, f"{where}/{key}")

    # --- unions ---

    def discriminator(self, node, where):
        name = node["discriminator"].get("propertyName")
        if not name:
            self.problem(where, "the discriminator has no propertyName")
            return
        members = node.get("oneOf") or node.get("anyOf")
        if not members:
            self.problem(where, "a discriminator without oneOf")
            return
        mapping = node["discriminator"].get("mapping")
        values = {}
        for index, member in enumerate(members):
            found = self.one_value(member, name)
            if found is None:
                self.problem(f"{where}/oneOf/{index}",
                             f"'{name}' must be a required enum of one value")
                continue
            if found in values:
                self.problem(f"{where}/oneOf/{index}", f"'{name}' {found!r} is taken already")
            values[found] = member.get("$ref")
        if mapping is None:
            return
        for value, ref in mapping.items():
            if value not in values:
                self.problem(where, f"mapping {value!r}: no member has this '{name}'")
            elif values[value] != ref:
                self.problem(where, f"mapping {value!r} names {ref}, its member is {values[value]}")
        for value in values:
            if value not in mapping:
                self.problem(where, f"member {value!r} is not in the mapping")

    def one_value(self, schema, name):
        """The one value that a member's discriminating property may have, else None.

        A member written as allOf may set the value in one part and require it in another."""
        value, required = self._one_value(schema, name, 0)
        return value if required else None

    def _one_value(self, schema, name, depth):
        schema = self.resolve(schema)
        if not isinstance(schema, dict) or depth > 8:
            return None, False
        required = name in schema.get("required", [])
        value = None
        field = self.resolve(schema.get("properties", {}).get(name))
        if isinstance(field, dict):
            if len(field.get("enum", [])) == 1:
                value = field["enum"][0]
            elif "const" in field:
                value = field["const"]
        for part in schema.get("allOf", []):
            part_value, part_required = self._one_value(part, name, depth + 1)
            value = part_value if value is None else value
            required = required or part_required
        return value, required

    # --- operations ---

    def operations(self):
        seen = {}
        declared = {tag.get("name") for tag in self.document.get("tags", [])}
        for path, item in self.document.get("paths", {}).items():
            for method in METHODS:
                if method not in item:
                    continue
                operation = item[method]
                where = f"{method.upper()} {path}"
                name = operation.get("operationId")
                if not name:
                    self.problem(where, "no operationId")
                elif name in seen:
                    self.problem(where, f"operationId {name!r} is taken by {seen[name]}")
                else:
                    seen[name] = where
                tags = operation.get("tags") or []
                if not tags:
                    self.problem(where, "no tag")
                for tag in tags:
                    if declared and tag not in declared:
                        self.problem(where, f"tag {tag!r} is not declared at the top")
                if not str(operation.get("summary") or "").strip():
                    self.problem(where, "no summary")
                self.parameters(where, path, item, operation)
                self.responses(where, operation)
                body = self.resolve(operation.get("requestBody"))
                if isinstance(body, dict):
                    if not body.get("content"):
                        self.problem(where, "the request body has no content")
                    self.bodies(f"{where} request", body.get("content") or {})

    def parameters(self, where, path, item, operation):
        given = set()
        for parameter in item.get("parameters", []) + operation.get("parameters", []):
            parameter = self.resolve(parameter)
            if isinstance(parameter, dict) and parameter.get("in") == "path":
                given.add(parameter.get("name"))
        named = {part.split("}")[0].lstrip("*") for part in path.split("{")[1:]}
        for name in sorted(named - given):
            self.problem(where, f"path parameter {name!r} is not described")
        for name in sorted(given - named):
            self.problem(where, f"path parameter {name!r} is not in the path")

    def responses(self, where, operation):
        responses = operation.get("responses") or {}
        if not any(str(status).startswith("2") for status in responses):
            self.problem(where, "no 2xx response")
        for status, response in responses.items():
            response = self.resolve(response)
            if not isinstance(response, dict):
                continue  # reported as a reference that leads nowhere
            content = response.get("content") or {}
            if str(status)[0] in "45" and PROBLEM not in content:
                # A readiness probe answers 503 with its own report, so only 4xx are bound.
                if str(status)[0] == "4":
                    self.problem(where, f"response {status} is not {PROBLEM}")
            self.bodies(f"{where} {status}", content)

    def bodies(self, where, content):
        for media, entry in content.items():
            kind = media.split(";")[0].strip().lower()
            if kind.startswith(TEXTUAL) or kind.endswith(("+json", "+xml")):
                continue
            schema = self.resolve(entry.get("schema"))
            if not isinstance(schema, dict):
                self.problem(where, f"{media} has no schema")
            elif schema.get("type") != "string" or schema.get("format") != "binary":
                self.problem(where, f"{media} must be 'type: string, format: binary'")

    # --- leftovers ---

    def unused(self):
        """Schemas that no operation reaches; one used only by another unused one counts too."""
        schemas = self.document.get("components", {}).get("schemas", {})
        reached, waiting = set(), []

        def collect(node):
            if isinstance(node, list):
                for item in node:
                    collect(item)
            elif isinstance(node, dict):
                for key, item in node.items():
                    if isinstance(item, str):
                        if key == "$ref" or item.startswith("#/components/schemas/"):
                            waiting.append(item)
                    elif key not in ("example", "examples"):
                        collect(item)

        for key, part in self.document.items():
            if key != "components":
                collect(part)
        for key, part in self.document.get("components", {}).items():
            if key != "schemas":
                collect(part)
        while waiting:
            ref = waiting.pop()
            prefix = "#/components/schemas/"
            if not ref.startswith(prefix):
                continue
            name = ref[len(prefix):].split("/")[0].replace("~1", "/").replace("~0", "~")
            if name in schemas and name not in reached:
                reached.add(name)
                collect(schemas[name])
        for name in schemas:
            if name not in reached:
                self.problem(f"#/components/schemas/{name}", "is used by no operation")


def main(path):
    with open(path, encoding="utf-8") as f:
        document = json.load(f)
    problems = Linter(document).run()
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
    if problems:
        print(f"{len(problems)} problem(s)", file=sys.stderr)
        return 1
    count = sum(method in item for item in document["paths"].values() for method in METHODS)
    print(f"{path}: {count} operations, "
          f"{len(document.get('components', {}).get('schemas', {}))} schemas, no findings")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
