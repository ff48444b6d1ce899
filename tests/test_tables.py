from __future__ import annotations

import builtins

import numpy as np
import pandas as pd
import pytest

from knotwork.tables import Table, TableError, read_table

NAN = float("nan")


def table_of(tmp_path, text, *, name="data.csv", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, **options)


def check(table, X, Y, tasks):
    np.testing.assert_array_equal(table.X, X)
    np.testing.assert_array_equal(table.Y, Y)
    assert table.task_names == tuple(tasks)


def test_a_wide_table(tmp_path):
    table = table_of(tmp_path, "x,a,b\n1,2,3\n0.1,,4\n")
    check(table, [1, 0.1], [[2, 3], [NAN, 4]], "ab")
    assert (table.name, table.input_name, table.origin, table.n_missing) == ("data", "x", None, 1)
    assert table.input_labels(table.X) == [1.0, 0.1]


def test_columns_are_chosen_by_name_and_order(tmp_path):
    table = table_of(tmp_path, "a,b,t\n1,2,3\n4,5,6\n", input="t", tasks=["b", "a"])
    check(table, [3, 6], [[2, 1], [5, 4]], "ba")


def test_no_tasks_for_reading_inputs_alone(tmp_path):
    table = table_of(tmp_path, "x,a\n1,\n2,word\n", tasks=[])
    check(table, [1, 2], np.empty((2, 0)), "")


@pytest.mark.parametrize(
    ("text", "chosen", "why"),
    [
        ("a,x,day\n1,2,2006-01-01\n", "x", "by its name"),
        ("a,b,day\n1,2,2006-01-01\n", "day", "the only one of dates"),
        ("a,day,night\n1,2006-01-01,2006-01-01\n", "a", "the first"),
    ],
)
def test_the_input_is_chosen_and_said(tmp_path, text, chosen, why):
    tasks = ["b"] if ",b," in text else None
    if chosen == "a":
        text, tasks = text.replace("night", "night,c").replace("01\n", "01,7\n"), ["c"]
    table = table_of(tmp_path, text, tasks=tasks)
    assert table.input_name == chosen
    assert f"took column '{chosen}' as the input ({why})" in table.notices


def test_columns_without_numbers_are_left_out_and_said(tmp_path):
    table = table_of(tmp_path, ",x,a,word,empty,flag\n0,1,2,p,,True\n1,2,3,q,,False\n")
    check(table, [1, 2], [[2], [3]], "a")
    assert any("'word', 'empty', 'flag'" in notice for notice in table.notices)
    assert "left out a column without a name" in table.notices


def test_dates_become_days_and_come_back(tmp_path):
    table = table_of(tmp_path, "day,a\n2006-02-01,1\n2006-01-01,2\n")
    check(table, [31, 0], [[1], [2]], "a")
    assert table.origin == "2006-01-01"
    assert table.input_labels(table.X) == ["2006-02-01", "2006-01-01"]


def test_an_origin_may_be_given(tmp_path):
    assert table_of(tmp_path, "day,a\n2006-02-01,1\n", origin="2006-01-01").X[0] == 31
    with pytest.raises(TableError, match="must hold dates"):
        table_of(tmp_path, "day,a\n31,1\n", origin="2006-01-01")


def test_every_digit_is_kept(tmp_path):
    values = (
        np.random.default_rng(0).standard_normal((2000, 2)) * 10.0 ** np.arange(-10, 10).repeat(100)[:, None]
    )
    rows = "\n".join(f"{x!r},{y!r}" for x, y in values.tolist())
    table = table_of(tmp_path, f"x,a\n{rows}\n")
    check(table, values[:, 0], values[:, 1:], "a")


@pytest.mark.parametrize("name", ["<script>", "../../x", "$a$", "[red]x[/red]", "é 数", 'a "quoted", name'])
def test_any_column_name(tmp_path, name):
    quoted = '"' + name.replace('"', '""') + '"'
    table = table_of(tmp_path, f"x,{quoted}\n1,2\n")
    assert table.task_names == (name,)


def test_tabs_byte_order_mark_and_blanks(tmp_path):
    check(table_of(tmp_path, "x\ta\n1\t2\n", name="t.tsv"), [1], [[2]], "a")
    check(table_of(tmp_path, b"\xef\xbb\xbfx, a\n1, 2\n"), [1], [[2]], "a")


def test_a_long_table_keeps_every_label(tmp_path):
    text = "who,x,y\nA,2,1\nB,1,5\nA,1,3\nA,2,4\nA,2,4\nB,3,\n"
    table = table_of(tmp_path, text, series="who", value="y")
    assert table.input_name == "x"
    check(table, [1, 2, 2, 2, 3], [[3, 5], [1, NAN], [4, NAN], [4, NAN], [NAN, NAN]], "AB")


def test_no_label_of_a_long_table_is_lost(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.choice([-0.0, 0.0, 1.0, 2.5], 200).tolist()
    who, y = rng.choice(["A", "B", "C"], 200).tolist(), rng.standard_normal(200).tolist()
    rows = "\n".join(f"{w},{x_i!r},{y_i!r}" for w, x_i, y_i in zip(who, x, y, strict=True))
    table = table_of(tmp_path, f"who,x,y\n{rows}\n", series="who", value="y")
    for name, column in zip(table.task_names, table.Y.T, strict=True):
        seen = ~np.isnan(column)
        kept = sorted(zip(table.X[seen], column[seen], strict=True))
        assert kept == sorted((x_i, y_i) for w, x_i, y_i in zip(who, x, y, strict=True) if w == name)


def test_a_long_table_with_series_chosen(tmp_path):
    text = "who,when,y\n7,2006-01-02,1\nB,2006-01-01,5\nC,2006-01-05,3\n"
    table = table_of(tmp_path, text, series="who", value="y", tasks=["C", "7"])
    # days count from the first date of the file, chosen or not
    check(table, [1, 4], [[NAN, 1], [3, NAN]], ["C", "7"])
    assert table.input_labels(table.X) == ["2006-01-02", "2006-01-05"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("\n\n", "no columns"),
        (",,\n1,2,3\n", "no columns"),
        ("x,a\n", "no rows"),
        ("x\n1\n", "no column beside the input"),
        ("x,x\n1,2\n", "columns: 'x' occurs twice"),
        ("x,a,a\n1,2,3\n", "columns: 'a' occurs twice"),
        ("x,a\n1,inf\n", "column 'a': infinite value"),
        ("x,a\n-inf,1\n", "column 'x': infinite value"),
        ("x,a\n1,2\n,3\n", "column 'x' is empty in row 2"),
        ("x,a\n1,2\nlater,3\n", "column 'x' holds 'later' in row 2"),
        ("day,a\n2006-01-01,1\nsoon,2\n", "row 2 holds 'soon'"),
        ("x;a\n1;2\n", "separate columns by commas"),
        ("x,a\n1,2,3\n4,5,6\n", "do not match its header"),
        ("x,a\n1,2\n4,5,6\n", "do not match its header"),
        ("x,é\n1,2\n".encode("latin-1"), "not UTF-8"),
        (bytes(range(256)) * 20, "UTF-8|columns"),
        (b"PAR1 and no more", "no whole Parquet file"),
        ("x,a\n1," + "9" * 17 + "\n", r"2\*\*53"),
    ],
)
def test_files_that_are_refused(tmp_path, text, reason):
    with pytest.raises(TableError, match=reason) as caught:
        table_of(tmp_path, text)
    assert "data.csv: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"input": "X"}, "input: there is no column 'X'; there are 'x', 'apples'"),
        ({"tasks": ["apple"]}, "tasks: there is no column 'apple'; did you mean 'apples'"),
        ({"tasks": ["word"]}, "tasks: column 'word' holds 'p' in row 1, which is no number"),
        ({"tasks": ["void"]}, "tasks: column 'void' holds no number"),
        ({"tasks": ["x"], "input": "x"}, "tasks: 'x' is the input column"),
        ({"tasks": ["apples", "apples"]}, "tasks: 'apples' occurs twice"),
        ({"series": "word"}, "value: a long table needs both"),
        ({"value": "word"}, "series: a long table needs both"),
        ({"series": "word", "value": "void"}, "column 'void' holds no number"),
        ({"series": "word", "value": "apples", "tasks": ["q"]}, "tasks: there is no series 'q'"),
        ({"series": "word", "value": "x", "input": "x"}, "must be three columns"),
    ],
)
def test_options_that_are_refused(tmp_path, options, reason):
    with pytest.raises(TableError, match=reason):
        table_of(tmp_path, "x,apples,word,void\n1,2,p,\n2,3,p,\n", **options)


def test_a_series_without_labels(tmp_path):
    text = "who,x,y\nA,1,2\nB,5,\n"
    table = table_of(tmp_path, text, series="who", value="y")
    check(table, [1], [[2]], "A")
    assert "left out series that hold no numbers: 'B'" in table.notices
    with pytest.raises(TableError, match="tasks: series 'B' holds no number"):
        table_of(tmp_path, text, series="who", value="y", tasks=["B"])


def test_a_series_without_a_name(tmp_path):
    with pytest.raises(TableError, match="series: row 2 of 'who' is empty"):
        table_of(tmp_path, "who,x,y\nA,1,2\n,2,3\n", series="who", value="y")


def test_a_long_table_too_large_to_hold(tmp_path, monkeypatch):
    monkeypatch.setattr("knotwork.tables._LARGEST_TABLE", 8)
    with pytest.raises(TableError, match="too large"):
        table_of(tmp_path, "s,x,y\nA,1,1\nB,2,1\nC,3,1\n", series="s", value="y")


def test_a_million_columns(tmp_path):
    names = ",".join(f"c{i}" for i in range(1_000_000))
    text = f"{names}\n{','.join(['1'] * 1_000_000)}\n"
    with pytest.raises(TableError, match="has 1000000 columns"):
        table_of(tmp_path, text)
    check(table_of(tmp_path, text, input="c1", tasks=["c7", "c999999"]), [1], [[1, 1]], ["c7", "c999999"])


def test_a_line_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("knotwork._table_files._LONGEST_LINE", 1000)
    with pytest.raises(TableError, match="line of over"):
        table_of(tmp_path, "x" * 5000)


def test_places_that_are_no_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_table(tmp_path)


def test_parquet(tmp_path):
    path = tmp_path / "data.parquet"
    frame = pd.DataFrame(
        {
            "day": pd.to_datetime(["2006-01-01", "2006-01-03"]).date,
            "a.b": pd.array([1, None], dtype="Int64"),
            "c": np.array([0.5, 1.5], dtype=np.float32),
        },
        index=[3, 5],
    )
    frame.to_parquet(path)
    table = read_table(path)
    check(table, [0, 2], [[1, 0.5], [NAN, 1.5]], ["a.b", "c"])
    assert table.origin == "2006-01-01"
    frame.set_index("c").to_parquet(path)
    check(read_table(path, input="c", tasks=["a.b"]), [0.5, 1.5], [[1], [NAN]], ["a.b"])
    long = pd.DataFrame({"s": pd.Categorical(["p", "q"]), "x": [1, 1], "y": [2.0, 3.0]})
    long.to_parquet(path)
    check(read_table(path, series="s", value="y"), [1], [[2, 3]], "pq")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TableError, match="no whole Parquet file"):
        read_table(path)


def test_parquet_without_its_package(tmp_path, monkeypatch):
    path = tmp_path / "data.parquet"
    pd.DataFrame({"x": [1.0]}).to_parquet(path)
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TableError, match=r"pip install 'knotwork\[parquet\]'"):
        read_table(path)


def test_a_table_checks_its_shapes():
    with pytest.raises(ValueError, match="a row per input and a column per task name"):
        Table("t", "x", ("a",), np.zeros(3), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="NaN"):
        Table("t", "x", ("a",), np.array([1.0, np.nan]), np.zeros((2, 1)))
