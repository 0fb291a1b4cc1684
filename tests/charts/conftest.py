import pytest

import llm_playground as lp
from llm_playground.runlog import open_log


@pytest.fixture(scope="module")
def reports_of_demo(tmp_path_factory):
    """A frame of every report, over demo runs."""
    with pytest.MonkeyPatch.context() as patch:
        path = str(tmp_path_factory.mktemp("demo") / "runs.duckdb")
        patch.setenv("LLM_PLAYGROUND_LOG", path)
        lp.demo_runs(1500)
        first = lp.costs(["day", "model"]).dropna(subset="cost_usd").iloc[-1]
        provider, _, name = first.model.partition(":")
        bill = [{"day": first.day, "model": name, "cost_usd": first.cost_usd * 2}]
        yield {
            "costs": lp.costs(),
            "latency": lp.latency(),
            "failures": lp.failures(),
            "usage_by": lp.usage_by("notebook"),
            "waste": lp.waste(),
            "duplicates": lp.duplicates(),
            "what_if": lp.what_if("local"),
            "forecast": lp.forecast("model"),
            "prompt_cache": lp.prompt_cache(),
            "reconcile": lp.reconcile(bill, provider, first.day[:7]),
        }
        open_log(path).close()
