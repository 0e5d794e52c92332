# shellcheck shell=bash disable=SC2034 # what is set here is used by those who source it
# What the chart's scripts share: counting, and finding tools. Sourced; it must not check anything itself.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
chart=$root/charts/anomalyjob-operator
cache=${XDG_CACHE_HOME:-$HOME/.cache}/anomalyjob-operator/chart
work=$(mktemp -d)
passed=0
failed=0

say() { echo "chart: $*" >&2; }
fail() { say "$*"; exit 1; }

count() { # exit code, name, output
  if [[ $1 -eq 0 ]]; then
    passed=$((passed + 1))
    echo "ok    $2"
  else
    failed=$((failed + 1))
    echo "FAIL  $2"
    # shellcheck disable=SC2001 # every line is indented, not the first only
    sed 's/^/      /' <<<"$3"
  fi
}

# The command must succeed.
check() { # name, command...
  local name=$1 output code=0
  shift
  output=$("$@" 2>&1) || code=$?
  count "$code" "$name" "$output"
}

# The command must fail, and say something that matches.
refused() { # name, pattern, command...
  local name=$1 pattern=$2 output code=0
  shift 2
  output=$("$@" 2>&1) || code=$?
  if [[ $code -ne 0 ]] && grep -Eq -- "$pattern" <<<"$output"; then code=0; else code=1; fi
  count "$code" "$name" "should have been refused with '$pattern', but: $output"
}

finish() {
  echo "$passed passed, $failed failed"
  [[ $failed -eq 0 && $passed -gt 0 ]]
}

# Sets helm and kubectl. Building them takes minutes the first time and says so.
need_helm() { helm=$("$root/tests/controlplane/build" helm | tail -n 1)/helm; }
need_kubectl() { kubectl=$("$root/tests/controlplane/build" kubectl | tail -n 1)/kubectl; }

# Sets python to one that has PyYAML: the system's, or one in a virtual environment in the cache (some seconds, once).
need_python() {
  command -v python3 >/dev/null || fail "needs python3"
  python=python3
  python3 -c 'import yaml' 2>/dev/null && return
  python=$cache/python/bin/python
  "$python" -c 'import yaml' 2>/dev/null && return
  say "no PyYAML here: installing it into $cache/python"
  rm -rf "$cache/python"
  python3 -m venv "$cache/python" >&2
  "$python" -m pip install --quiet --disable-pip-version-check 'PyYAML==6.0.3' >&2
}

rule() { "$python" "$here/rules.py" "$@"; }
