import subprocess
import sys


def test_the_remedy_is_told_where_scikit_learn_is_missing():
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "try: import knotwork.estimators\n"
        "except ImportError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "need scikit-learn" in said
    assert "pip install 'knotwork[sklearn]'" in said
