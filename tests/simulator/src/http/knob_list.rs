//! The list of knobs that `GET /_simulator/` shows. The README has an example of each.

/// Every knob, as `GET /_simulator/` lists them.
pub(super) const LIST: &[(&str, &str)] = &[
    (
        "POST reset",
        "a new, empty cluster; knobs, rules and logs gone",
    ),
    (
        "GET|PUT defaults",
        "durations and faults of all jobs: open_ms, close_ms, remove_ms, force_ms (ms, or null/\"hang\"), lost_closes, open_fails, persist_fails, finalise_fails, on_kill (409|404|200), feed_start_ms, feed_stop_ms, feed_stop_fails, lookback_ms, feed_notice_ms",
    ),
    (
        "GET|PUT jobs/{id}",
        "the same for one job, which need not exist yet",
    ),
    (
        "POST jobs_bulk",
        "{prefix, from, count, groups, opened, datafeeds: none|stopped|started, records, latest_ms}: many jobs at once, named prefix + five digits",
    ),
    ("POST jobs/{id}/fail", "{reason}: the process dies"),
    (
        "POST jobs/{id}/lose_config",
        "the configuration goes, the task stays",
    ),
    (
        "POST jobs/{id}/lose_task",
        "the task goes, the datafeed stays",
    ),
    (
        "PUT jobs/{id}/deleting",
        "{deleting}: the mark in the configuration",
    ),
    ("PUT jobs/{id}/block", "{reason: delete|reset|revert|null}"),
    (
        "PUT jobs/{id}/data",
        "{records, latest_ms}: what _stats counts",
    ),
    (
        "PUT jobs/{id}/snapshots",
        "{snapshots: [{timestamp_ms, latest_record_ms, id, min_version}]}: instead of those it has",
    ),
    (
        "POST datafeeds/{id}/end",
        "the datafeed reaches its end and closes its job",
    ),
    (
        "POST datafeeds/{id}/lose_config",
        "the configuration goes, the task stays",
    ),
    (
        "PUT missing_primaries",
        "{indices}: their primary shards are away, no job opens; [] = all are back",
    ),
    (
        "POST restart",
        "{state_ms, initial_ms, shards_ms, memory_ms, down_ms}: a full restart with the phases of reference 17.2",
    ),
    ("PUT nodes", "{count}"),
    (
        "POST node_shutdown",
        "{node}: its jobs persist and go elsewhere (from 7.15 on)",
    ),
    ("POST node_loss", "{node}: name, or the last one"),
    (
        "GET|PUT master",
        "{present, update_ms}: whether there is one; how long each cluster-state update takes in its queue (0 = no queue)",
    ),
    ("PUT upgrade_mode", "{enabled}"),
    (
        "PUT license",
        "{valid, type, closes}: when it lapses the nodes stop datafeeds and close jobs, unless closes is false",
    ),
    (
        "POST idle_close",
        "{idle_ms}: the nightly closing of idle jobs, now; {closed: ids}",
    ),
    (
        "PUT capacity",
        "{max_open_jobs (null = no limit), max_opening (at once on a node; null = no limit), memory_bytes (from then on the jobs of a node are added up), lazy_nodes}",
    ),
    (
        "GET|POST|DELETE inject",
        "a fault: {api|path_contains, longer_than (bytes of the request line), method, count (1; null = always), skip, status, type, reason, retry_after, headers, delay_ms, cut: before|after, body: html|endless|truncated|not_json|other_product|error|silence, json, gzip, location}",
    ),
    (
        "PUT uuid",
        "{uuid}: another cluster_uuid; without one a new one",
    ),
    (
        "PUT network",
        "{mode: up|refuse|blackhole, for_ms}: blackhole still answers /_simulator/, refuse does not",
    ),
    ("GET|PUT clock", "{hold}"),
    ("POST clock/advance", "{ms}"),
    ("GET|DELETE log", "{requests, changes}"),
    (
        "GET audit",
        "{messages: [{at_ms, job, message}]}: what .ml-notifications would hold",
    ),
    ("GET counts", "requests by api"),
    (
        "GET counts/searches",
        "by api, the searches that a real server would have made for them",
    ),
];
