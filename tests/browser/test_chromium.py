"""The driver sees what pages do wrong: without that, tests of silence would prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.chromium import Chromium, chromium_path

pytestmark = [
    pytest.mark.chromium,
    pytest.mark.skipif(chromium_path() is None, reason="needs Chromium on PATH"),
]

BAD_PAGE = """<!doctype html><title>bad</title>
<link rel="stylesheet" href="missing.css">
<button onclick="document.title = 'clicked'">press</button>
<script>
console.warn("careful", 3);
fetch("http://127.0.0.1:9/nowhere").catch(() => {});
throw new Error("on purpose");
</script>"""


async def test_requests_console_and_exceptions_are_collected(tmp_path: Path) -> None:
    file = tmp_path / "bad.html"
    file.write_text(BAD_PAGE, encoding="utf-8")
    async with Chromium.launch(tmp_path) as browser:
        page = await browser.open(file.as_uri())
        await page.wait_for("document.readyState === 'complete'")
        await page.click("button")
        assert await page.evaluate("document.title") == "clicked"
        with pytest.raises(AssertionError, match="undefinedName"):
            await page.evaluate("undefinedName")
        with pytest.raises(AssertionError, match="not true within"):
            await page.wait_for("false", timeout_s=0.1)
        picture = tmp_path / "page.png"
        await page.screenshot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert file.as_uri() in page.requests
    assert (tmp_path / "missing.css").as_uri() in page.requests
    assert "http://127.0.0.1:9/nowhere" in page.requests
    assert "warning: careful 3" in page.console
    assert any("missing.css" in line or "ERR_FILE_NOT_FOUND" in line for line in page.console)
    assert any("on purpose" in error for error in page.errors)
