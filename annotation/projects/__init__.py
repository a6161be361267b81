"""The pages of a project's manager: settings, members, invitations, overview, history."""
