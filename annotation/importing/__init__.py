"""Judgments made elsewhere, as rows of ours."""
