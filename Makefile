# What a person types. Each target says in its line what it leaves behind; the work is done by the scripts that it calls.
# CARGO_TARGET_DIR is honoured; without it everything that Cargo makes is in target/.

.DEFAULT_GOAL := help
.PHONY: help build test test-long faults fuzz model life mutants mutants-all demo up down bench controlplane check deny generate

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## target/release/anomalyjob-operator and elasticsearch-simulator (5 min the first time)
	tests/demo/build

test: ## Everything that is tested (some 25 min once built; over an hour on a machine that has nothing yet)
	tests/all

model: ## The shipped brain explored in small worlds with faults; STATES=n says how many states (several minutes, and more to build)
	MODEL_STATES=$(or $(STATES),5000000) cargo test --profile model --locked --lib model:: -- --nocapture --test-threads 1

life: ## 500 jobs over 5 clusters for 90 virtual days, with faults all the time; LIFE_SEED=n replays another, LIFE_DAYS=n is shorter (some minutes)
	LIFE_SEED=$(or $(LIFE_SEED),1) LIFE_DAYS=$(or $(LIFE_DAYS),90) cargo test --profile model --locked --lib long::a_long_life -- --nocapture --test-threads 1

test-long: ## Campaigns of real processes at full size: 200 kills, dying API servers, ten minutes of 503 (30 min)
	tests/long

faults: ## Each of the 60 faults of the plan (tests/faults.txt); SEEDS=n says how often, 20 if not said (15 min)
	FAULT_SEEDS=$(or $(SEEDS),20) FAULT_CROWD=5000 cargo test --locked --test integration fault -- --nocapture --test-threads 4

fuzz: ## Answers, certificates, Secrets and urls made up by libFuzzer; TIME=n seconds for each of the four, 600 if not said
	tests/fuzz/run $(or $(TIME),600)

mutants: ## The brain broken on purpose, one patch of tests/mutants at a time; each must be noticed (some six minutes)
	tests/mutants/run

mutants-all: ## Every mutant of cargo-mutants in the brain (an hour or two); what survives must be explained in tests/mutants/survivors.txt
	tests/mutants/every

demo: ## Ten jobs closed, opened and closed again through a real API server by the real operator (1 min once built)
	@tests/demo/demo

up: ## The same environment, left running; prints the KUBECONFIG line
	@tests/demo/up

down: ## Ends what `make up` started
	@tests/demo/down

bench: ## Latency, 10 000 objects at a start, requests, writes and memory beside their bars (5 min once built)
	@tests/bench/run

controlplane: ## Builds kube-apiserver, etcd and kubectl if missing; prints their folder
	@tests/controlplane/build

check: ## Format, clippy, rustdoc: no warning is left
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

deny: ## Licences, bans and sources of the dependencies (deny.toml); installs cargo-deny outside the checkout (about 6 min)
	tests/deny

generate: ## Rewrites crds/, the chart's copies, docs/reference.md, docs/conditions.md and tests/faults.txt
	CI=false cargo test --locked --test integration artifacts:: >/dev/null || true
	CI=true cargo test --locked --test integration artifacts::
	CI=false cargo test --locked --test integration table::
