"""The course's experiments against their published figures: what was published, our runs, the verdicts.

`published` knows the claims, `figures` reads ours out of a run, `verdict` compares them, `work` trains what is
missing, `results` holds what came out, `tables` and `report` write it.
"""
