"""What the browser tests do again and again on the ranking page."""

from axe_playwright_python.sync_playwright import Axe

from annotation.models import Assignment, AssignmentState, Judgment

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def press(page, keys):
    for key in keys.split():
        page.keyboard.press(key)


def held():
    """What is being worked on: of what is held, the oldest."""
    return Assignment.objects.filter(state=AssignmentState.HELD).earliest("created_at")


def wait_for_next(page, before):
    page.wait_for_selector(f"form[data-task]:not([data-task='{before.pk}'])")


def wait_until_saved(page, task):
    """This task's answer has left the page, and has arrived."""
    page.wait_for_selector(f"[data-saved='{task.pk}'] [data-saved-word]:text-is('Saved.')")


def wait_until_ahead(page):
    """The next task lies ready in the page."""
    page.wait_for_selector("[data-session][data-ahead=ready]", state="attached")


def drafts_saved(page, keys):
    """Press these keys and wait until the server has the draft."""
    with page.expect_response(lambda response: response.url.endswith("/draft/")):
        press(page, keys)


def submitted(page, task):
    """The judgment that came of this task, once it is there."""
    wait_until_saved(page, task)
    return Judgment.objects.current().get(assignment=task)


def judged_letters(judgment):
    """The judgment's groups by the letters that its annotator saw; an edit is "+"."""
    letters = dict(zip(judgment.assignment.display_order, "ABCDEFGHI", strict=False))
    return [sorted(letters.get(pk, "+") for pk in group) for group in judgment.ranking]


def marks_by_letter(judgment):
    letters = dict(zip(judgment.assignment.display_order, "ABCDEFGHI", strict=False))
    return {letters[int(pk)]: mark for pk, mark in judgment.marks.items()}


def assert_accessible(page):
    """No violation by axe-core, whatever state the page is in now."""
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
