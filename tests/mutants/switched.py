"""Builds the brain once with every mutant of cargo-mutants in it, and runs the tests for one after the other.

    switched.py TREE LIST OUT CAUGHT

TREE is a copy of the repository that may be broken. LIST is what `cargo mutants --list --json` says. Each function gets a body
for each of its mutants, and the environment variable MUTANT says which of them runs, so that nothing is compiled per mutant.
What does not compile is left out (cargo-mutants calls it unviable). What cannot be switched, because it is no body of a
function, or one that is run by the compiler, is written to OUT/alone.txt: that is for cargo-mutants itself.

Leaves OUT/caught.txt, OUT/missed.txt, OUT/unviable.txt. What was caught is kept in CAUGHT, one list for each content of a file, and is
not tried again until its file changes.
"""

import collections
import concurrent.futures
import hashlib
import json
import math
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import threading

# What takes so many times the processor time that it takes without a mutant, and this much at least, is a loop without an end.
TIMES, AT_LEAST_S = 5, 10
# What waits for something that never comes takes no processor time.
WAITING_S = 900
MEMORY = 4 << 30
SWITCH = """
/// Which mutant runs.
pub(crate) mod mutant {
    use std::sync::LazyLock;
    static NUMBER: LazyLock<u32> = LazyLock::new(|| std::env::var("MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(0));
    pub(crate) fn number() -> u32 { *NUMBER }
}
"""
FAILED = re.compile(r"test (\S+) \.\.\. .*FAILED")
# What takes a second and more by itself says little about single decisions: it comes last, and what takes half a minute not at all.
SLOW = ["chaos", "ten_thousand", "one_in_a_hundred", "an_outage_of_an_hour", "pacing", "model", "properties", "random", "life", "flipping",
        "status_lists_a_hundred", "mixed", "isolating", "at_no_moment", "a_restart_in_the_middle_of_a_force", "a_line_of_an_odd", "a_crash_at_any_second"]
SLOWEST = ["ten_thousand", "an_outage_of_an_hour", "no_few_faults", "life", "thousand"]


def skipping(words):
    return ["reconciler", *(word for of in words for word in ("--skip", of))]


# In this order: most fall to the first, and few are left for the last.
PHASES = [[["scenarios"], skipping(SLOW)], [["chaos", "--skip", "life"]], [skipping([*SLOWEST, "chaos"])]]


class Text:
    """A file, in which a place is a line and a column as cargo-mutants counts them."""

    def __init__(self, path):
        self.path = path
        self.text = path.read_text()
        self.starts = [0]
        for line in self.text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def at(self, place):
        return self.starts[place["line"] - 1] + place["column"] - 1

    def span(self, span):
        return self.at(span["start"]), self.at(span["end"])


def body(text, start, end):
    """Where the statements of the function at this place begin and end; None where it is run by the compiler."""
    at, depth = start, 0
    while at < end:
        rest = text[at:end]
        skip = re.match(r'//[^\n]*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', rest, re.S)
        if skip:
            at += skip.end()
            continue
        char = text[at]
        if char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "{" and depth == 0:
            head = text[start:at]
            return None if re.search(r"\bconst\s+(?:unsafe\s+)?fn\b", head) else (at + 1, end - 1)
        at += 1
    return None


def by_function(text, mutants):
    """The mutants of each function, those of a function in it among them."""
    spans = {text.span(m["function"]["span"]) for m in mutants if m["function"]}

    def outermost(span):
        return min(s for s in spans if s[0] <= span[0] and span[1] <= s[1])

    groups, alone = collections.defaultdict(list), []
    for mutant in mutants:
        place = mutant["function"] and body(text.text, *outermost(text.span(mutant["function"]["span"])))
        (groups[place].append(mutant) if place else alone.append(mutant))
    return groups, alone


def switch(text, groups, left_out):
    """The file with all bodies, and which of its lines belong to which mutant."""
    parts, at, arms = [], 0, []
    for (start, end), mutants in sorted(groups.items()):
        # The bodies of a function are of one type, and `impl` is a type of its own for each.
        opaque = any(m["function"]["return_type"].startswith("-> impl Iterator") for m in mutants)
        before, after = ("Box::new({", "}) as Box<dyn Iterator<Item = _> + '_>") if opaque else ("", "")
        parts.append(text.text[at:start])
        parts.append("\nmatch crate::mutant::number() {\n")
        for mutant in mutants:
            if mutant["number"] in left_out:
                continue
            first, last = text.span(mutant["span"])
            changed = text.text[start:first] + mutant["replacement"] + text.text[last:end]
            line = "".join(parts).count("\n") + 1
            parts.append(f"{mutant['number']} => {{{before}\n{changed}\n{after}}}\n")
            arms.append((line, line + changed.count("\n") + 2, mutant["number"]))
        parts.append(f"_ => {{{before}\n{text.text[start:end]}\n{after}}}\n}}\n")
        at = end
    parts.append(text.text[at:])
    return "".join(parts), arms


def errors(tree):
    """Where the compiler finds errors, and the program where it finds none."""
    command = ["cargo", "test", "--profile", "mutants", "--locked", "--lib", "--no-run", "--message-format", "json"]
    flags = os.environ | {"RUSTFLAGS": "--cap-lints allow"}
    done = subprocess.run(command, cwd=tree, env=flags, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    places, program, texts = set(), None, []
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message.get("executable"):
            program = message["executable"]
        said = message.get("message")
        if isinstance(said, dict) and said["level"].startswith("error"):
            texts.append(said["rendered"])
            places |= {(s["file_name"], s["line_start"]) for s in said["spans"] if s["is_primary"]}
    if program is None and not places:
        sys.exit(f"it does not compile:\n{done.stderr[-3000:]}\n{''.join(texts)[:3000]}")
    return places, program, texts


def build(tree, mutants):
    """Writes and compiles; returns the program, what is unviable and what cannot be switched."""
    files = collections.defaultdict(list)
    for mutant in mutants:
        files[mutant["file"]].append(mutant)
    sources, alone = {}, []
    for name, of in files.items():
        text = Text(tree / name)
        groups, not_switched = by_function(text, of)
        sources[name] = (text, groups)
        alone += not_switched
    root = tree / "src/lib.rs"
    root.write_text(root.read_text() + SWITCH)
    left_out = set()
    while True:
        arms = {}
        for name, (text, groups) in sources.items():
            changed, arms[name] = switch(text, groups, left_out)
            text.path.write_text(changed)
        places, program, texts = errors(tree)
        if program:
            return program, left_out, alone
        bad = {n for name, line in places for first, last, n in arms.get(name, []) if first <= line <= last}
        if not bad:
            sys.exit(f"an error that belongs to no mutant:\n{''.join(texts)[:3000]}")
        left_out |= bad
        print(f"  {len(left_out)} do not compile", flush=True)


def bounded(cpu_s):
    """Bounds the process it is called in."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))


def run(program, tree, number, filters, cpu_s):
    """None where the tests pass, or what failed first."""
    env = os.environ | {"MUTANT": str(number), "RUST_BACKTRACE": "0", "PROPTEST_CASES": "1000"}
    command = [program, "--test-threads", "1", *filters]
    with subprocess.Popen(command, cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          preexec_fn=lambda: bounded(cpu_s)) as tests:
        waiting = threading.Timer(WAITING_S, tests.kill)
        waiting.start()
        # What fails first is told, and the others need not run.
        failed = next(filter(None, map(FAILED.match, tests.stdout)), None)
        if failed:
            tests.kill()
        tests.wait()
        waiting.cancel()
    if failed:
        return failed[1]
    if tests.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "it goes on for ever"
    return f"it ends with {tests.returncode}" if tests.returncode else None


def limits(program, tree):
    """How much processor time the tests may take, for each of the filters; without a mutant they pass."""
    limits = {}
    for filters in (some for phase in PHASES for some in phase):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        if why := run(program, tree, 0, filters, resource.RLIM_INFINITY):
            sys.exit(f"without a mutant the tests fail: {why}")
        took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        limits[tuple(filters)] = max(AT_LEAST_S, math.ceil(TIMES * took))
    return limits


def judge(program, tree, number, filters, limits):
    whys = (run(program, tree, number, some, limits[tuple(some)]) for some in filters)
    return next((why for why in whys if why), None)


class Caught:
    """What was caught, now or before: a list for each content of a file."""

    def __init__(self, folder, tree, mutants):
        folder.mkdir(exist_ok=True)
        names = {m["file"] for m in mutants}
        contents = {name: hashlib.sha256((tree / name).read_bytes()).hexdigest()[:16] for name in names}
        self.lists = {name: folder / f"{pathlib.Path(name).stem}-{contents[name]}.txt" for name in names}
        known = {m["name"] for m in mutants}
        lines = [line for path in self.lists.values() if path.exists() for line in path.read_text().splitlines()]
        self.whys = {name: why for name, why in (line.split(" <- ") for line in lines) if name in known}

    def add(self, mutant, why):
        self.whys[mutant["name"]] = why
        with self.lists[mutant["file"]].open("a") as file:
            print(f"{mutant['name']} <- {why}", file=file)


def tried(program, tree, mutants, filters, limits, caught):
    """Those that these tests do not notice."""
    missed = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        judged = {pool.submit(judge, program, tree, m["number"], filters, limits): m for m in mutants}
        for done, ended in enumerate(concurrent.futures.as_completed(judged), 1):
            if why := ended.result():
                caught.add(judged[ended], why)
            else:
                missed.append(judged[ended])
            if done % 100 == 0 or done == len(mutants):
                print(f"  {done} of {len(mutants)} tried, {len(missed)} not noticed", flush=True)
    return sorted(missed, key=lambda m: m["number"])


def main(tree, listed, out, kept):
    tree, out = pathlib.Path(tree), pathlib.Path(out)
    mutants = json.loads(pathlib.Path(listed).read_text())
    for number, mutant in enumerate(mutants, 1):
        mutant["number"] = number
    caught = Caught(pathlib.Path(kept), tree, mutants)
    program, unviable, alone = build(tree, mutants)

    def write(name, some):
        (out / name).write_text("".join(f"{m['name']}\n" for m in some))

    write("alone.txt", alone)
    write("unviable.txt", [m for m in mutants if m["number"] in unviable])
    bounds = limits(program, tree)
    aside = unviable | {m["number"] for m in alone}
    left = [m for m in mutants if m["number"] not in aside and m["name"] not in caught.whys]
    print(f"{len(mutants)} mutants: {len(unviable)} do not compile, {len(alone)} cannot be switched, {len(caught.whys)} were caught before and "
          f"their files are the same, {len(left)} are tried", flush=True)
    for filters in PHASES:
        left = tried(program, tree, left, filters, bounds, caught)
        write("missed.txt", left)
    (out / "caught.txt").write_text("".join(f"{name} <- {why}\n" for name, why in sorted(caught.whys.items())))


if __name__ == "__main__":
    main(*sys.argv[1:])
