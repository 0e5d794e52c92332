# shellcheck shell=bash disable=SC2034 # what is set here is used by those who source it
# An environment of real programs: control plane, simulator of Elasticsearch, operator as its ServiceAccount. Shared by
# demo, up and bench; it must not decide how long the programs live: `launch` and `run_dir` come from the caller.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
namespace=elastic-ml
release=anomalyjob-operator

say() { echo "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# Runs a command whose output nobody wants to see unless it fails, and tells every 15 s that it goes on.
patiently() { # what it does, command...
  local what=$1 log started=$SECONDS next=15 worker code=0
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null &
  worker=$!
  while kill -0 "$worker" 2>/dev/null; do
    sleep 0.1
    ((SECONDS - started >= next)) || continue
    say "  $what: $((SECONDS - started)) s so far; $(tail -n 1 "$log" | cut -c 1-90)"
    next=$((next + 15))
  done
  wait "$worker" || code=$?
  [[ $code -eq 0 ]] || { cat "$log" >&2; rm -f "$log"; fail "$what failed"; }
  rm -f "$log"
}

# Release binaries, kubectl, the API server, Helm: what is there already costs a second.
build_programs() {
  "$root/tests/tools" cargo cc go curl jq openssl flock
  if [[ ! -x $target/release/anomalyjob-operator || ! -x $target/release/elasticsearch-simulator ]]; then
    say "Building operator and simulator, optimised: 4 to 6 minutes on two cores."
  fi
  patiently "cargo build --release" "$root/tests/demo/build"
  programs=$("$root/tests/controlplane/build" | tail -n 1)
  helm=$("$root/tests/controlplane/build" helm | tail -n 1)
  PATH=$programs:$helm:$PATH
}

# A process is its id and its start time: a stale id cannot make us signal a stranger.
born() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }
note() { echo "$2 $(born "$2")" >"$run_dir/$1.pid"; } # name, pid
runs() { # name
  local id since
  [[ -f $run_dir/$1.pid ]] && read -r id since <"$run_dir/$1.pid" && [[ $since && $(born "$id") == "$since" ]]
}
end() { # name: asks it to stop, and insists after 10 s
  local id since
  runs "$1" || { rm -f "$run_dir/$1.pid"; return 0; }
  read -r id since <"$run_dir/$1.pid"
  kill -TERM "$id" 2>/dev/null || true
  timeout 10 tail --pid="$id" -f /dev/null || kill -KILL "$id" 2>/dev/null || true
  rm -f "$run_dir/$1.pid"
}

# Waits until a file has a line that matches, and prints what the expression kept; not when the program died.
line_of() { # name of the program, file, sed expression
  local found limit=$((SECONDS + 30))
  while ((SECONDS < limit)); do
    found=$(sed -nE "$3" "$2" 2>/dev/null | head -n 1)
    [[ -z $found ]] || { echo "$found"; return; }
    runs "$1" || break
    sleep 0.05
  done
  cat "$2" >&2
  fail "$1 did not start"
}

# The simulator, with security on: an admin, with whom the demo makes jobs, and the operator's key, which may manage_ml only.
start_simulator() {
  local secret
  secret=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
  admin=admin:$secret
  api_key=$(printf 'operator:%s' "$secret" | base64 -w 0)
  "${launch[@]}" "$target/release/elasticsearch-simulator" --listen 127.0.0.1:0 \
    --user "$admin:all" --api-key "operator:$secret:manage_ml" >"$run_dir/simulator.log" 2>&1 </dev/null &
  note simulator $!
  url=$(line_of simulator "$run_dir/simulator.log" 's/^listening on //p')
}

# An admin's call of Elasticsearch, or of the simulator's knobs.
elasticsearch() { # method, path, body
  curl -sS --fail-with-body --max-time 20 -u "$admin" -X "$1" "$url$2" -H 'Content-Type: application/json' ${3:+-d "$3"}
}

open_job() { # id, knobs, names of groups as JSON
  [[ -z ${2:-} ]] || elasticsearch PUT "/_simulator/jobs/$1" "$2" >/dev/null
  elasticsearch PUT "/_ml/anomaly_detectors/$1" \
    '{"analysis_config":{"bucket_span":"15m","detectors":[{"function":"low_count"}]},"data_description":{"time_field":"@timestamp"},"groups":['"${3:-}"']}' >/dev/null
  elasticsearch POST "/_ml/anomaly_detectors/$1/_open" >/dev/null
}

start_feed() { # id of its job
  elasticsearch PUT "/_ml/datafeeds/datafeed-$1" "{\"job_id\":\"$1\",\"indices\":[\"logs\"]}" >/dev/null
  elasticsearch POST "/_ml/datafeeds/datafeed-$1/_start" >/dev/null
}

# The jobs as Elasticsearch has them before the operator comes; the knobs say what their processes will do.
jobs_in_elasticsearch() {
  open_job low_request_rate
  open_job slow_checkout '{"close_ms":4000}'
  open_job login_failures
  start_feed login_failures
  open_job disk_forecast '{"close_ms":"hang"}'
  open_job payment_errors
  elasticsearch POST /_simulator/jobs/payment_errors/fail '{"reason":"the native process died"}' >/dev/null
  open_job audit_trail
  for id in nightly_sales nightly_stock nightly_orders; do open_job "$id" '' '"nightly"'; done
  open_job query_latency
}

chart_rights() {
  helm template "$release" "$root/charts/anomalyjob-operator" -n "$namespace" -s templates/serviceaccount.yaml -s templates/rbac.yaml
}

# CRDs, namespace and rights.
install_operator() {
  kubectl apply -f "$root/crds/"
  kubectl create namespace "$namespace"
  chart_rights | kubectl apply -f -
  kubectl wait --for=condition=Established crd --all --timeout=30s
}

# A kubeconfig with nothing but a token of the operator's ServiceAccount.
operator_kubeconfig() {
  local own=$run_dir/operator.kubeconfig
  cp "$KUBECONFIG" "$own"
  chmod 600 "$own"
  kubectl --kubeconfig "$own" config set-credentials admin \
    --token "$(kubectl create token "$release" -n "$namespace" --duration=24h)" >/dev/null
}

# The operator with the chart's own rights.
start_operator() {
  operator_kubeconfig
  KUBECONFIG=$run_dir/operator.kubeconfig "${launch[@]}" "$target/release/anomalyjob-operator" run --listen=127.0.0.1:0 --log-format=json \
    --allow-endpoints=127.0.0.0/8 --lease-namespace="$namespace" --identity="$release-demo" >"$run_dir/operator.log" 2>&1 </dev/null &
  note operator $!
  listen=$(line_of operator "$run_dir/operator.log" 's/.*"listen":"([^"]+)".*/\1/p')
}

connection_manifest() {
  cat <<END
apiVersion: anomalyjob.dev/v1alpha1
kind: ElasticsearchConnection
metadata: {name: default}
spec:
  url: $url
  allowPlaintext: true # the simulator listens on 127.0.0.1 only
  auth: {apiKeySecretRef: {name: elasticsearch, key: api-key}}
END
}
