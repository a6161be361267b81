"""Who belongs to a project, and as what."""

from django.contrib.auth.models import AbstractBaseUser

from annotation.models import JudgeKind, Membership, Project, Role


def add_member(*, project: Project, user: AbstractBaseUser, role: str, kind: str = JudgeKind.PERSON) -> Membership:
    """Add a member, or change the role and the kind of one."""
    return Membership.objects.update_or_create(
        project=project, user=user, defaults={"role": Role(role), "kind": JudgeKind(kind)}
    )[0]


def remove_member(*, project: Project, user: AbstractBaseUser) -> None:
    """Take a membership away. Judgments stay; what was held comes back when its lease ends."""
    Membership.objects.filter(project=project, user=user).delete()
