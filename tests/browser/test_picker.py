"""A person opens the picker: what is served now comes, and nothing looked at moves."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from tests.providers.server import WireServer, json_reply

PLAYGROUND = """import os, time, llm_playground as lp
os.environ["MINE_API_KEY"] = "any"
row = {{"base_url": "{url}", "key_variable": "MINE_API_KEY", "free": True}}
lp.configure(endpoints={{"mine": row}})
pg = lp.Playground(models=[])
while not pg.choices:
    time.sleep(0.1)
pg"""


def test_a_model_that_is_found_later_follows_what_is_looked_at(open_notebook):
    end = datetime.now(UTC).date() + timedelta(days=30)
    found = {"id": "found", "shutdown_date": end.isoformat()}
    with WireServer(json_reply(200, {"data": [found]})) as server:
        notebook = open_notebook(PLAYGROUND.format(url=server.url))
        notebook.run_cell(0)
        box = notebook.panel.get_by_role("combobox", name="Model")
        options = notebook.panel.get_by_role("option")
        assert server.requests == []

        box.click()
        box.press("ArrowDown")

        # Found while the list is open: at its end, and the chosen line stays chosen.
        expect(options.last).to_contain_text("mine:found")
        expect(options.first).to_contain_text("smollm2")
        first = options.first.get_attribute("id")
        expect(box).to_have_attribute("aria-activedescendant", first)

        # Opened again, what can be used stands at the top.
        box.press("Escape")
        box.click()
        expect(options.nth(1)).to_contain_text("mine:found")
        expect(options.nth(1)).to_contain_text("free")
        warning = f"ends {end.day} {end:%b %Y}"
        expect(options.nth(1)).to_contain_text(warning)
        options.nth(1).click()
        expect(notebook.panel.locator(".llm-chip")).to_contain_text(warning)
        assert len(server.requests) == 1
