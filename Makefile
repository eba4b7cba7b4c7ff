# What there is to do here; `make help` lists it. The work is in the scripts named below.
.DEFAULT_GOAL := help
.PHONY: help demo demo-stop demo-status demo-clean test lint check fmt fuzz bench bench-ddl bench-fleet incident simulate

help: ## this list
	@echo "Bulkhead: a MySQL-protocol sharding proxy."
	@grep -hE '^[a-z-]+: *##' $(MAKEFILE_LIST) | sed -E 's/: *## */\t/' | \
		while IFS="$$(printf '\t')" read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

demo: ## three clusters, sample data and Bulkhead on loopback; says how to connect
	@docker/demo.sh start

demo-stop: ## stops the demo, keeps its data
	@docker/demo.sh stop

demo-status: ## what of the demo runs
	@docker/demo.sh status

demo-clean: ## stops the demo and removes its data
	@docker/demo.sh clean

test: ## every test, those with servers, drivers and Rails too; installs what they need
	@tests/run.sh

lint: ## formatting, clippy, documentation, the tree's own rules
	cargo fmt --all -- --check
	cargo fmt --manifest-path benches/compare/Cargo.toml -- --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --document-private-items
	cargo test --locked --quiet --test tidy
	@if command -v shellcheck >/dev/null; then \
		git ls-files -co --exclude-standard .ci '*.sh' | xargs shellcheck -x; \
	else echo "shellcheck is not installed: shell scripts were not checked"; fi

check: ## a quick look: compiles, and the tests that need no server
	cargo check --all-targets --locked
	cargo test --locked --quiet

fmt: ## formats the code
	cargo fmt --all

simulate: ## 30 simulated days and every scenario of sick servers, ten seeds each, and a fleet; prints the tables
	BULKHEAD_SIMULATION_DAYS=$${BULKHEAD_SIMULATION_DAYS:-30} \
	BULKHEAD_SIMULATION_SEEDS=$${BULKHEAD_SIMULATION_SEEDS:-10} \
	CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo test --locked --test simulation --test fleet -- --nocapture

fuzz: ## feeds mutated packets, SQL and vschema files for a minute (BULKHEAD_FUZZ_SECONDS)
	BULKHEAD_FUZZ_SECONDS=$${BULKHEAD_FUZZ_SECONDS:-20} cargo test --locked --test fuzz -- --nocapture

bench: ## what Bulkhead costs, next to HAProxy and others (make bench ARGS=--quick: three minutes)
	@benches/run.sh $(ARGS)

bench-ddl: ## how fast and quietly tables are changed, next to pt-osc (make bench-ddl ARGS=--quick: four minutes)
	@benches/ddl.sh $(ARGS)

bench-fleet: ## how thousands of databases are changed, and what others notice (make bench-fleet ARGS=--quick)
	@benches/fleet.sh $(ARGS)

incident: ## a bad day replayed on real servers, protection off and on (make incident ARGS=--quick: four minutes)
	@benches/incident.sh $(ARGS)
