"""Run the README's first Python example as on a machine without OpenGL: python readme_without_gl.py README.md"""

import re
import sys
from pathlib import Path

# An entry of None makes the import fail, as the missing system library does.
for module in ("OpenGL", "OpenGL.GL", "glfw"):
    sys.modules[module] = None  # type: ignore[assignment]

readme = Path(sys.argv[1])
example = re.search(r"^```python\n(.*?)^```", readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
if example is None:
    sys.exit(f"{readme} has no Python example")
exec(compile(example.group(1), str(readme), "exec"), {"__name__": "__main__"})
print(f"the first example of {readme.name} runs without OpenGL")
