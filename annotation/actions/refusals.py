"""Why an answer, a draft or a skip cannot be kept."""


class AnswerRefused(Exception):
    """An answer, a draft or a skip that cannot be kept. The message is for the annotator."""


class LeaseLost(AnswerRefused):
    """The slot went to somebody else, or the assignment was closed before the answer came."""


class NotYours(AnswerRefused):
    """Only the annotator who holds an assignment may answer it."""


class KeyReused(AnswerRefused):
    """The request key belongs to another judgment."""


class AnsweredMeanwhile(AnswerRefused):
    """There is a judgment that the page did not know of. ``revision``: its number, for a page that now does."""

    def __init__(self, revision: int) -> None:
        super().__init__("You answered this differently in another tab, and that answer is kept.")
        self.revision = revision


class MembersRefused(Exception):
    """A change of members that cannot be made. The message is for whoever asked for it."""


class LastManager(MembersRefused):
    """Without this member the project would have no manager."""


class InvitationRefused(MembersRefused):
    """The invitation was taken back, ran out, or was used as often as it may be."""
