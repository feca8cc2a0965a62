"""Blinded study of pairs of videos: pages for raters, and the analysis of their votes.

Example:
    from pathlib import Path
    from leaderboard.study.build import StudySettings, build_study
    from leaderboard.study.votes import count_votes

    build_study([Path("runs")], Path("study"), StudySettings(raters=12))
    result = count_votes(sorted(Path("votes").glob("*.json")), Path("study"))
"""
