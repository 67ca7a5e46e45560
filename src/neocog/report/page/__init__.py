"""`report.html`: one page, in one file, about what was trained on what, how good it is and where it fails."""

from neocog.report.page.contents import Subject as Subject
from neocog.report.page.write import write_report as write_report
