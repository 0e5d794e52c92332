"""What must hold in a rendering of the chart, and between its files, stated a second time and apart from the templates.

Called by tests/chart/check and tests/chart/install as `rules.py RULE ARGUMENTS`; complaints go to stderr, exit code 1.
It must not read the templates: a rule that is derived from what it judges can never fail.
"""

import json
import re
import sys
from pathlib import Path

import yaml

KEEP = "helm.sh/resource-policy"
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
# The rights of design: reliability, section 4.5. (group, resource) -> verbs.
WATCHED = {
    ("anomalyjob.dev", "anomalyjobs"): {"get", "list", "watch", "patch"},
    ("anomalyjob.dev", "elasticsearchconnections"): {"list", "watch"},
    ("anomalyjob.dev", "anomalyjobs/status"): {"update"},
    ("anomalyjob.dev", "elasticsearchconnections/status"): {"update"},
    ("", "secrets"): {"get"},
    ("", "configmaps"): {"get"},
    ("events.k8s.io", "events"): {"create", "patch"},
}
# Of the kinds that stand in no namespace, and of what they go by; and their Secrets, where no right above covers them.
WIDE = {
    ("anomalyjob.dev", "clusterelasticsearchconnections"): {"list", "watch"},
    ("anomalyjob.dev", "clusterelasticsearchconnections/status"): {"update"},
}
LABELS = {("", "namespaces"): {"list", "watch"}}
SECRETS = {("", "secrets"): {"get"}, ("", "configmaps"): {"get"}}
HOME = {("coordination.k8s.io", "leases"): {"create"}}
HOME_NAMED = {("coordination.k8s.io", "leases"): {"get", "update"}}


def documents(path):
    """All objects of a file of YAML documents."""
    return [d for d in yaml.safe_load_all(Path(path).read_text()) if d]


def pod_specs(objects):
    """(name, pod spec) of everything that makes pods."""
    for o in objects:
        spec = o.get("spec", {})
        if o["kind"] == "Pod":
            yield o["metadata"]["name"], spec
        elif o["kind"] == "CronJob":
            yield o["metadata"]["name"], spec["jobTemplate"]["spec"]["template"]["spec"]
        elif "template" in spec:
            yield o["metadata"]["name"], spec["template"]["spec"]


def container_faults(pod, container):
    """The restricted Pod Security Standard, and the rules that go beyond it: read-only root, memory bounded."""
    own = container.get("securityContext", {})
    both = {**pod.get("securityContext", {}), **own}
    capabilities = own.get("capabilities", {})
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if both.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "no seccomp profile"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if own.get("privileged") or own.get("procMount", "Default") != "Default":
        yield "privileged or procMount"
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities are not dropped"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem is not true"
    if any(p.get("hostPort") for p in container.get("ports", [])):
        yield "a host port"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield "no requests for cpu and memory, or no memory limit"


def restricted(path):
    """Every pod of a rendering keeps to the restricted standard; a rendering without a pod is a fault too."""
    specs = list(pod_specs(documents(path)))
    if not specs:
        yield "no pod in this rendering"
    for name, pod in specs:
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.get(key):
                yield f"{name}: {key}"
        for volume in pod.get("volumes", []):
            if not set(volume) - {"name"} <= VOLUMES:
                yield f"{name}: volume {volume['name']}"
        for kind in ("initContainers", "containers", "ephemeralContainers"):
            for container in pod.get(kind, []):
                yield from (f"{name}/{container['name']}: {f}" for f in container_faults(pod, container))


def granted(rules):
    """Rules as two tables: rights on any name, rights on named objects only."""
    anyone, named = {}, {}
    for rule in rules:
        table = named if rule.get("resourceNames") else anyone
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                table.setdefault((group, resource), set()).update(rule["verbs"])
    return anyone, named


def all_granted(role):
    """Rights of a role, whether on any name or on named objects only."""
    anyone, named = granted(role["rules"])
    return {**anyone, **named}


def wide_faults(roles, secrets, expected):
    """`expected`: none, wide, or wide/NAMESPACE where their Secrets need a Role of their own; `+labels` where namespaces are read."""
    kind, _, labels = expected.partition("+")
    where = kind.partition("/")[2]
    wanted = [] if kind == "none" else [{**WIDE, **(LABELS if labels else {})}]
    if [all_granted(o) for o in roles] != wanted or any(o["kind"] != "ClusterRole" for o in roles):
        yield f"the rights to cluster-wide connections are {[all_granted(o) for o in roles]}"
    if [(o["kind"], o["metadata"]["namespace"]) for o in secrets] != ([("Role", where)] if where else []):
        yield f"rights to their Secrets are {secrets}"


def rbac(path, wide, *namespaces):
    """The operator's rights are the expected ones, where they are expected: in `namespaces`, or everywhere if none is given."""
    objects = documents(path)
    roles = [o for o in objects if o["kind"] in ("Role", "ClusterRole")]
    own = [o for o in roles if not any("aggregate-to" in k for k in o["metadata"]["labels"])]
    secrets = [o for o in own if all_granted(o) == SECRETS]
    across = [o for o in own if any("clusterelasticsearchconnections" in r["resources"] for r in o["rules"])]
    yield from wide_faults(across, secrets, wide)
    own = [o for o in own if o not in secrets and o not in across]
    watching = [o for o in own if any("secrets" in r["resources"] for r in o["rules"])]
    where = sorted(o["metadata"].get("namespace", "*") for o in watching)
    if where != sorted(namespaces or ["*"]):
        yield f"rights to watch are given in {where}"
    for role in watching:
        anyone, named = granted(role["rules"])
        for table in (named, anyone):
            for key in table:
                if table[key] != WATCHED.get(key):
                    yield f"{role['metadata']['name']}: {key} {sorted(table[key])}"
        if set(named) | set(anyone) != set(WATCHED) or set(named) - {("", "secrets"), ("", "configmaps")}:
            yield f"{role['metadata']['name']}: not the resources that were expected"
    home = [o for o in own if o not in watching]
    if [granted(o["rules"]) for o in home] != [(HOME, HOME_NAMED)] or home[0]["kind"] != "Role":
        yield "the rights to the Lease are not the expected ones"
    bound = sorted((o["roleRef"]["kind"], o["roleRef"]["name"], o["metadata"].get("namespace", "*")) for o in objects if o["kind"].endswith("Binding"))
    if bound != sorted((o["kind"], o["metadata"]["name"], o["metadata"].get("namespace", "*")) for o in own + secrets + across):
        yield f"bindings and roles differ: {bound}"
    accounts = {json.dumps(s, sort_keys=True) for o in objects if o["kind"].endswith("Binding") for s in o["subjects"]}
    used = {spec["serviceAccountName"] for _, spec in pod_specs(objects)}
    if len(accounts) != 1 or used != {json.loads(a)["name"] for a in accounts}:
        yield f"rights go to {accounts}, the pods run as {used}"


def crds(path, folder, *annotations):
    """The CRDs of a rendering are the files of a folder with exactly these annotations (key=value) added."""
    wanted = {d["metadata"]["name"]: d for f in sorted(Path(folder).glob("*.yaml")) for d in documents(f)}
    found = {o["metadata"]["name"]: o for o in documents(path) if o["kind"] == "CustomResourceDefinition"}
    if set(wanted) != set(found):
        yield f"rendered {sorted(found)}, files have {sorted(wanted)}"
    for name in set(wanted) & set(found):
        expected = dict(wanted[name]["metadata"].get("annotations") or {}, **dict(a.split("=", 1) for a in annotations))
        metadata = dict(found[name]["metadata"])
        if (metadata.pop("annotations", None) or {}) != expected:
            yield f"{name}: annotations {found[name]['metadata'].get('annotations')}, not {expected}"
        metadata.pop("labels", None)
        if {**found[name], "metadata": metadata} != {**wanted[name], "metadata": {"name": name}}:
            yield f"{name}: more than labels and annotations differs from the file"


def identity(o):
    return o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]


def disjoint(one, other):
    """Two renderings have no object in common."""
    common = {identity(o) for o in documents(one)} & {identity(o) for o in documents(other)}
    if common:
        yield f"both have {sorted(common)}"


def leaves(value, path=()):
    """Paths of the values that have no named parts."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    else:
        yield path


def comments(text):
    """Path -> the `# --` comment above the key, for values.yaml."""
    found, above, path = {}, [], []
    for line in text.splitlines():
        comment = re.match(r"\s*# ?(-- )?(.*)", line)
        key = re.match(r"( *)([A-Za-z]+):", line)
        if comment:
            above = [comment[2]] if comment[1] else above and [*above, comment[2]]
            continue
        if key:
            path = [*path[: len(key[1]) // 2], key[2]]
            if above:
                found[tuple(path)] = " ".join(above)
        above = []
    return found


def table(values):
    """The README's table of values, made from values.yaml."""
    text = Path(values).read_text()
    loaded, described = yaml.safe_load(text), comments(text)
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for path, meaning in described.items():
        default = loaded
        for key in path:
            default = default[key]
        yield f"| `{'.'.join(path)}` | `{json.dumps(default)}` | {meaning.replace('|', '/')} |"


def readme(values, page, update=None):
    """The README's table is the one that values.yaml makes, and no value is without a line in it."""
    described = comments(Path(values).read_text())
    for path in leaves(yaml.safe_load(Path(values).read_text())):
        if not any(path[:n] in described for n in range(1, len(path) + 1)):
            yield f"values.yaml says nothing about {'.'.join(path)}"
    text = Path(page).read_text()
    begin, end = "<!-- values: tests/chart/check --update -->\n", "<!-- end of values -->\n"
    head, _, rest = text.partition(begin)
    _, mark, tail = rest.partition(end)
    new = head + begin + "\n".join(table(values)) + "\n" + end + tail
    if not mark:
        yield f"{page} has no place for the values"
    elif update:
        Path(page).write_text(new)
    elif new != text:
        yield f"{page}: its table of values is old"


def schema(values, file):
    """Each value is described by the schema, each described one exists, and no object takes unknown keys."""
    loaded, described = yaml.safe_load(Path(values).read_text()), json.loads(Path(file).read_text())

    def walk(node, value, path):
        if path and not node.get("description"):
            yield f"{path}: no description"
        if "properties" not in node:
            return
        # A parent chart shares its own globals with us.
        if node.get("additionalProperties") is not False and path != "global":
            yield f"{path or 'the top'}: takes unknown keys"
        if not isinstance(value, dict):
            return
        yield from (f"{path}: {k} is not in the schema" for k in set(value) - set(node["properties"]))
        for key, part in node["properties"].items():
            if key in value:
                yield from walk(part, value[key], f"{path}.{key}".strip("."))
            elif path != "resources":
                yield f"{path}.{key}: in the schema, not in values.yaml"

    yield from walk(described, loaded, "")


def differs(default, other, path):
    """Whether `other` sets the value at `path`, and to something else than `default` does."""
    for key in path:
        if not isinstance(other, dict) or key not in other:
            return False
        default, other = default[key], other[key]
    return default != other


def covers(values, *others):
    """Each value differs from its default in one of the other files, so that the renderings show what it does."""
    default = yaml.safe_load(Path(values).read_text())
    loaded = [yaml.safe_load(Path(f).read_text()) for f in others]
    for path in leaves(default):
        if not any(differs(default, other, path) for other in loaded):
            yield f"{'.'.join(path)} has its default in all of them"


RULES = {f.__name__: f for f in (restricted, rbac, crds, disjoint, readme, schema, covers)}

if __name__ == "__main__":
    complaints = list(RULES[sys.argv[1]](*sys.argv[2:]))
    print("\n".join(complaints), file=sys.stderr)
    sys.exit(1 if complaints else 0)
