"""OpenVINO without the event that its package sends to Google Analytics whenever it is imported.

A device must not call home because a bundle was opened. The package falls back to a stand-in that
sends nothing where its telemetry module cannot be imported, so this process hides that module. A
program that imports openvino before pocketbert does keeps what it has chosen.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # import then fails

import openvino as openvino  # noqa: E402
