"""Elasticsearch's own Python clients against the simulator, unchanged.

They bring what no test of ours has: their own idea of the headers, of the product check, of media types and of what an
answer looks like. The program starts the simulator itself, on a free port, and stops the process that it started.
"""

import contextlib
import socket
import subprocess
import sys
import time

import elasticsearch
import elasticsearch7

JOB = {
    "analysis_config": {"bucket_span": "5m", "detectors": [{"function": "count"}]},
    "data_description": {"time_field": "ts"},
}
results = {"passed": 0, "failed": 0}


def check(what, got, expected):
    good = got == expected
    results["passed" if good else "failed"] += 1
    print(f"{'ok    ' if good else 'FAILED'} {what}" + ("" if good else f": expected {expected!r}, got {got!r}"))


def status_of(call, *errors):
    """The HTTP status and the error's reason that a call was refused with."""
    try:
        call()
    except errors as error:
        # The 9.x client keeps the body apart from the status, the 7.x client both in one tuple of arguments.
        body = error.body if hasattr(error, "body") else error.info
        status = error.meta.status if hasattr(error, "meta") else error.status_code
        return status, body["error"]["reason"]
    return None


@contextlib.contextmanager
def simulator(program, profile):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % probe.getsockname()[1]
    process = subprocess.Popen([program, "--listen", address, "--profile", profile], stdout=subprocess.DEVNULL)
    try:
        wait_for(address, process)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for(address, process):
    host, port = address.split(":")
    for _ in range(200):
        if process.poll() is not None:
            sys.exit(f"the simulator ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.05)
    sys.exit(f"the simulator does not listen on {address}")


def state(client, job):
    return client.ml.get_job_stats(job_id=job)["jobs"][0]["state"]


def feed_state(client, feed):
    return client.ml.get_datafeed_stats(datafeed_id=feed)["datafeeds"][0]["state"]


def newest(url):
    client = elasticsearch.Elasticsearch(url, request_timeout=20, max_retries=0)
    refused = elasticsearch.ApiError
    print(f"profile 9 with elasticsearch {elasticsearch.__versionstr__}")
    check("info", client.info()["tagline"], "You Know, for Search")
    check("ml info", client.ml.info()["upgrade_mode"], False)
    client.indices.create(index="data", mappings={"properties": {"ts": {"type": "date"}}})
    for job in ("one", "two"):
        check(f"put {job}", client.ml.put_job(job_id=job, groups=["g"], **JOB)["job_id"], job)
    check("list", [j["job_id"] for j in client.ml.get_jobs()["jobs"]], ["one", "two"])
    check("open", client.ml.open_job(job_id="one")["opened"], True)
    check("opened", state(client, "one"), "opened")
    check("open again", status_of(lambda: client.ml.open_job(job_id="one"), refused),
          (409, "Cannot open job [one] because it has already been opened"))
    client.ml.put_datafeed(datafeed_id="feed", job_id="one", indices=["data"])
    check("start", client.ml.start_datafeed(datafeed_id="feed", start="0")["started"], True)
    check("started", feed_state(client, "feed"), "started")
    check("stop", client.ml.stop_datafeed(datafeed_id="feed", timeout="10s")["stopped"], True)
    check("stopped", feed_state(client, "feed"), "stopped")
    client.ml.start_datafeed(datafeed_id="feed", start="0")
    check("close with a running datafeed", client.ml.close_job(job_id="one", timeout="30s")["closed"], True)
    check("closed", (state(client, "one"), feed_state(client, "feed")), ("closed", "stopped"))
    client.ml.open_job(job_id="two")
    check("close by wildcard", client.ml.close_job(job_id="t*", allow_no_match=False)["closed"], True)
    client.ml.open_job(job_id="two")
    check("close by group with force", client.ml.close_job(job_id="g", force=True)["closed"], True)
    check("all closed", {j["state"] for j in client.ml.get_job_stats()["jobs"]}, {"closed"})
    check("unknown job", status_of(lambda: client.ml.close_job(job_id="nope"), refused), (404, "No known job with id 'nope'"))
    check("upgrade mode on", client.ml.set_upgrade_mode(enabled=True)["acknowledged"], True)
    check("close in upgrade mode", (status_of(lambda: client.ml.close_job(job_id="one"), refused) or [None])[0], 429)
    check("upgrade mode off", client.ml.set_upgrade_mode(enabled=False)["acknowledged"], True)
    check("reset", client.ml.reset_job(job_id="one")["acknowledged"], True)
    check("delete datafeed", client.ml.delete_datafeed(datafeed_id="feed")["acknowledged"], True)
    check("delete job", client.ml.delete_job(job_id="one")["acknowledged"], True)
    check("left", client.ml.get_jobs()["count"], 1)
    client.close()


def oldest(url):
    client = elasticsearch7.Elasticsearch(url, timeout=20, max_retries=0)
    refused = elasticsearch7.TransportError
    print(f"profile 7.10 with elasticsearch7 {elasticsearch7.__versionstr__}")
    check("info", client.info()["version"]["number"].startswith("7.10."), True)
    client.indices.create(index="data", mappings={"properties": {"ts": {"type": "date"}}})
    check("put", client.ml.put_job(job_id="one", body=JOB)["job_id"], "one")
    check("open", client.ml.open_job(job_id="one")["opened"], True)
    check("opened", state(client, "one"), "opened")
    client.ml.put_datafeed(datafeed_id="feed", body={"job_id": "one", "indices": ["data"]})
    check("start", client.ml.start_datafeed(datafeed_id="feed", start="0")["started"], True)
    check("close with a running datafeed", status_of(lambda: client.ml.close_job(job_id="one"), refused),
          (409, "cannot close job datafeed [feed] hasn't been stopped"))
    check("stop", client.ml.stop_datafeed(datafeed_id="feed")["stopped"], True)
    check("close", client.ml.close_job(job_id="one", timeout="30s")["closed"], True)
    check("closed", state(client, "one"), "closed")
    check("list", [j["job_id"] for j in client.ml.get_jobs(job_id="_all")["jobs"]], ["one"])
    check("unknown job", status_of(lambda: client.ml.close_job(job_id="nope"), refused), (404, "No known job with id 'nope'"))
    client.close()


def main():
    program = sys.argv[1]
    for profile, play in (("9", newest), ("7.10", oldest)):
        with simulator(program, profile) as url:
            try:
                play(url)
            except Exception as error:  # a client that trips over an answer is a failure like any other
                results["failed"] += 1
                print(f"FAILED profile {profile}: {type(error).__name__}: {error}")
    print(f"{results['passed']} passed, {results['failed']} failed")
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
