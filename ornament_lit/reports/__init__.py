"""Reports: what was measured, under which protocol, as files to read, to cite and to compare."""

from ornament_lit.reports.comparison import compare_reports
from ornament_lit.reports.report import Report, read_report, write_report

__all__ = ["Report", "compare_reports", "read_report", "write_report"]
