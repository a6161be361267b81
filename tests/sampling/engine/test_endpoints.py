"""Several endpoints: which may be used, and what happens when one of them is lost."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from sampling.engine.endpoints import Endpoints
from sampling.engine.requests import Request, Settings
from sampling.engine.run_dir import RunDirError
from tests.sampling.engine.fake_vllm import FakeVllm, check_contract, completion

MODEL = "models/june"
SETTINGS = Settings(model=MODEL, prompts="prompts.jsonl", n=1)
REQUESTS = [Request(f"p{number}", 0, [1, 2, 3], number) for number in range(8)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def dead_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_the_fake_keeps_the_contract():
    with FakeVllm(MODEL) as fake:
        check_contract(fake.url, MODEL, [1, 2, 3])


def test_completions_are_spread_over_all_endpoints():
    with FakeVllm(MODEL) as first, FakeVllm(MODEL) as second:
        endpoints = Endpoints.connect([first.url, second.url + "/v1/"], MODEL)
        answers = list(endpoints.complete(SETTINGS, REQUESTS))

        assert sorted(answer.prompt_id for answer in answers) == [f"p{number}" for number in range(8)]
        assert (len(first.bodies), len(second.bodies)) == (4, 4)


def test_an_endpoint_that_fails_leaves_its_work_to_the_others():
    with FakeVllm(MODEL) as well, FakeVllm(MODEL, lambda body: (500, {})) as ill:
        endpoints = Endpoints.connect([ill.url, well.url], MODEL)
        answers = list(endpoints.complete(SETTINGS, REQUESTS))

        assert len(answers) == 8
        assert len(well.bodies) == 8


def test_an_endpoint_that_is_down_is_left_out(capsys):
    down = dead_url()
    with FakeVllm(MODEL) as up:
        answers = list(Endpoints.connect([down, up.url], MODEL).complete(SETTINGS, REQUESTS))

    assert len(answers) == 8
    assert f"Going on without it: {down} does not answer" in capsys.readouterr().out


def test_no_endpoint_at_all_is_an_error_that_names_each():
    urls = [dead_url(), dead_url()]

    with pytest.raises(RunDirError) as error:
        Endpoints.connect(urls, MODEL)

    assert all(url in str(error.value) for url in urls)


def test_an_endpoint_with_another_model_is_refused_rather_than_sampled():
    with FakeVllm("models/may") as fake, pytest.raises(RunDirError, match=r"serves models/may, not models/june"):
        Endpoints.connect([fake.url], MODEL)


def test_a_model_may_be_served_under_its_own_name():
    with FakeVllm("june") as fake:
        endpoints = Endpoints.connect([fake.url], "/elsewhere/checkpoint", served_as="june")
        assert len(list(endpoints.complete(SETTINGS, REQUESTS))) == 8


def test_another_round_s_checkpoint_is_not_taken_for_this_one():
    with FakeVllm("checkpoint") as fake, pytest.raises(RunDirError, match="--served-model-name june"):
        Endpoints.connect([fake.url], "/rounds/2/checkpoint", served_as="june")


def test_when_all_endpoints_are_lost_it_gives_up_and_says_what_is_kept():
    with FakeVllm(MODEL, lambda body: (503, {"error": {"message": "engine is dead"}})) as fake:
        endpoints = Endpoints.connect([fake.url], MODEL, patience_seconds=0.5)

        with pytest.raises(RunDirError, match=r"answers 503: engine is dead.*only what is missing is sampled"):
            list(endpoints.complete(SETTINGS, REQUESTS))


def test_an_endpoint_that_comes_back_is_used_again(monkeypatch):
    monkeypatch.setattr("sampling.engine.endpoints.SET_ASIDE_SECONDS", 0.1)
    with FakeVllm(MODEL) as fake:
        fake.reply = lambda body: (503, {}) if len(fake.bodies) <= 8 else completion("back", tokens=1)
        answers = list(Endpoints.connect([fake.url], MODEL).complete(SETTINGS, REQUESTS))

    assert [answer.text for answer in answers] == ["back"] * 8


def test_a_proxy_for_other_machines_is_not_asked_for_an_endpoint_of_this_one(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with FakeVllm(MODEL) as fake:
        answers = list(Endpoints.connect([fake.url], MODEL).complete(SETTINGS, REQUESTS))
    assert len(answers) == len(REQUESTS)


@pytest.mark.slow
@pytest.mark.whole_machine
def test_the_real_one_keeps_the_contract_too(demo_model, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(demo_model)]
    command += ["--port", str(port), "--host", "127.0.0.1", "--max-model-len", "512", "--enforce-eager"]
    command += ["--dtype", "bfloat16", "--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096"]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    with (tmp_path / "vllm.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}", server, tmp_path / "vllm.log")
        check_contract(f"http://127.0.0.1:{port}", str(demo_model), [1, 2, 3])
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_until_healthy(url, server, log):
    for _ in range(600):
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    pytest.fail(log.read_text()[-3000:])
