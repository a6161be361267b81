"""Reading a page without eyes."""

from annotation.simulated.page_reader import read_page

PAGE = """<!DOCTYPE html><html><head><title>Not seen</title></head><body>
<a href="#main">Skip</a><header><form action="/sign-out/">
<input type="hidden" name="csrfmiddlewaretoken" value="other"></form></header>
<main><h1>Rank  these</h1>
<p role="alert" hidden>Not said</p><p role="alert">Give every <b>completion</b> a rank.</p>
<form action="/submit/" method="post">
<input type="hidden" name="csrfmiddlewaretoken" value="t0k&amp;n">
<input type="hidden" name="request_key" value="k">
<input type="checkbox" name="flag"><input type="submit" name="go" value="Go"><input name="seconds_spent">
<div class="prose"><pre><code>not raw</code></pre></div>
<pre class="raw" data-role="user" hidden>What is 1 &lt; 2?</pre>
<pre class="raw" data-completion="A" hidden>

 Two lines &amp;
more </pre>
<pre class="raw" data-completion="B" hidden></pre>
<select name="rank_A"><option value="" selected>-</option><option value="1">1</option></select>
<select name="strength_1"><option value="better">b</option><option value="slightly_better">s</option></select>
<textarea name="rationale">
kept</textarea><button>Submit</button></form><script>alert("not seen")</script></main></body></html>"""


def test_raw_texts_are_read_to_the_letter():
    page = read_page(PAGE)
    # HTML drops the line feed right after <pre>; the second one belongs to the text.
    assert page.completions == {"A": "\n Two lines &\nmore ", "B": ""}
    assert page.turns == [{"role": "user", "content": "What is 1 < 2?"}]


def test_a_form_holds_what_a_browser_would_send_of_it_untouched():
    form = read_page(PAGE).form_with("request_key")
    assert form.action == "/submit/"
    assert form.fields == {
        "csrfmiddlewaretoken": "t0k&n",
        "request_key": "k",
        "seconds_spent": "",
        "rank_A": "",
        "strength_1": "better",
        "rationale": "kept",
    }


def test_the_words_are_those_that_are_shown():
    page = read_page(PAGE)
    assert page.words.startswith("Rank these")
    assert "not seen" not in page.words.lower()
    assert "Two lines" not in page.words
    assert page.alerts == ["Give every completion a rank."]


def test_a_page_without_the_form_has_none():
    assert read_page("<main><p>Nothing to rank right now</p></main>").form_with("request_key") is None
