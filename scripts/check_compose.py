"""Checks docker-compose.yml where docker compose is missing: its shape and what we promise.

usage: python3 scripts/check_compose.py docker-compose.yml
"""

import sys

import yaml

# The keys of the Compose specification that a service of ours may use; a typing mistake in any
# other key would be ignored by nobody but us.
SERVICE_KEYS = {
    "build", "cap_drop", "command", "deploy", "environment", "healthcheck", "image", "init",
    "ports", "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "user", "volumes",
}


def main(path):
    with open(path, encoding="utf-8") as f:
        document = yaml.safe_load(f)
    problems = []

    def expect(holds, text):
        if not holds:
            problems.append(text)

    expect(isinstance(document, dict), "the document is no mapping")
    expect(set(document) <= {"services", "volumes", "networks", "name"}, "an unknown key at the top")
    volumes = set(document.get("volumes") or {})
    for name, service in (document.get("services") or {}).items():
        unknown = set(service) - SERVICE_KEYS
        expect(not unknown, f"{name}: unknown keys {sorted(unknown)}")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            expect(source in volumes or source[0] in "./", f"{name}: volume {source} is not declared")
        for port in service.get("ports", []):
            # A port given without an address is open to every network of the machine.
            expect(str(port).startswith("127.0.0.1:"), f"{name}: port {port} is not bound to 127.0.0.1")
        limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
        expect({"cpus", "memory"} <= set(limits), f"{name}: no limit for cpus and memory")
        expect("test" in service.get("healthcheck", {}), f"{name}: no healthcheck")
        expect("image" in service or "build" in service, f"{name}: neither image nor build")
    expect(document.get("services"), "no services")
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
