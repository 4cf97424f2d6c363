"""What lies below a data folder is found by its name, in every form that names come in."""

import os
from pathlib import Path

import pytest

from mbt_cli.data.shelf import Shelf
from mbt_cli.data.table import clock, named, rows, seconds
from mbt_cli.data.youtube import file_of, listed
from mbt_cli.errors import MbtError

ID = "-aB3_dEf7hI"


def put(root, *names, text=""):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("stem", "cut"),
    [
        ("{}_000030", "clip"),
        ("{}_30", "clip"),
        ("{}_30.000", "clip"),
        ("{}_ 30.000", "clip"),
        ("{}_30.000_41.000", "clip"),
        ("{}_30000_41000", "clip"),
        ("{}_30_41", "clip"),
        ("{}_000030_000041", "clip"),
        ("{}", "either"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "Y"])
@pytest.mark.parametrize("ending", ["mp4", "MP4", "mkv", "webm", "Mov"])
def test_a_clip_is_found_by_each_name_that_is_in_use(tmp_path, stem, cut, prefix, ending):
    name = f"deep/er/{prefix}{stem.format(ID)}.{ending}"
    shelf = Shelf(put(tmp_path, name))
    assert file_of(shelf, ID, 30.0, 41.0) == (tmp_path / name, cut)
    assert shelf.find("nothing", prefix + stem.format(ID), "else") == tmp_path / name


@pytest.mark.parametrize(
    "name",
    [
        "{}_000031.mp4", "{}_31.mp4", "{}_30000_40000.mp4", "{}_30_40.mp4", "{}_30.500.mp4",
        "X{}.mp4", "{}x.mp4", "{}_000030.wav", "{}_000030.flac", "{}_000030.jpg", "{}_000030",
        "._{}_000030.mp4", ".trash/{}_000030.mp4", "{}_000030.mp4.part",
    ],
)  # fmt: skip
def test_another_clip_sound_alone_and_hidden_files_are_not_taken_for_it(tmp_path, name):
    shelf = Shelf(put(tmp_path, name.format(ID)))
    assert file_of(shelf, ID, 30.0, 41.0) == (None, "clip")


def test_the_clip_alone_is_taken_before_the_video_it_may_have_been_cut_from(tmp_path):
    shelf = Shelf(put(tmp_path, f"a/{ID}.mp4", f"b/{ID}_000030.mp4"))
    assert file_of(shelf, ID, 30.0, 41.0) == (tmp_path / f"b/{ID}_000030.mp4", "clip")
    assert file_of(shelf, ID, 50.0, 61.0) == (tmp_path / f"a/{ID}.mp4", "either")


def test_a_clip_between_two_seconds_goes_by_its_exact_names_alone(tmp_path):
    shelf = Shelf(put(tmp_path, f"{ID}_30.mp4", f"{ID}_30.500.mp4", f"{ID}_1500_41000.mp4"))
    assert file_of(shelf, ID, 30.5, 41.0) == (tmp_path / f"{ID}_30.500.mp4", "clip")
    assert file_of(shelf, ID, 1.5, 41.0) == (tmp_path / f"{ID}_1500_41000.mp4", "clip")
    assert file_of(Shelf(put(tmp_path / "b", f"{ID}_30_41.mp4")), ID, 30.0, 41.5)[0] is None
    assert listed(shelf, ID, 30.5, 41.0, "train", (0,)).name == f"{ID}_30.5"
    assert listed(shelf, ID, 30.0, 41.0, "train", (0,)).name == f"{ID}_30"


def test_of_several_files_of_one_name_the_first_by_the_alphabet_is_taken(tmp_path):
    for names in (("b/x.mp4", "a/x.webm", "c/x.mkv"), ("c/x.mkv", "a/x.webm", "b/x.mp4")):
        root = tmp_path / names[0][0]
        assert Shelf(put(root, *names)).find("x") == root / "a/x.webm"


def test_a_file_is_found_in_the_folder_that_is_asked_for(tmp_path):
    shelf = Shelf(put(tmp_path, "s/dog/x.mp4", "s/cat/x.mp4", "s/cat/y.1.mp4"))
    assert shelf.find_in("dog", "x") == tmp_path / "s/dog/x.mp4"
    assert shelf.find_in("cat", "y.1") == tmp_path / "s/cat/y.1.mp4"
    assert shelf.find_in("s", "x") is None
    assert shelf.media == ("s/cat/x.mp4", "s/cat/y.1.mp4", "s/dog/x.mp4")


def test_links_to_folders_and_files_are_followed_but_not_in_circles(tmp_path):
    root = put(tmp_path / "root", "a/x.mp4")
    put(tmp_path / "elsewhere", "deep/y.mp4")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "z.mp4").symlink_to(tmp_path / "elsewhere" / "deep" / "y.mp4")
    (root / "a" / "circle").symlink_to(root)
    (tmp_path / "elsewhere" / "back").symlink_to(root)
    (root / "broken").symlink_to(tmp_path / "nothing")
    assert Shelf(root).media == ("a/x.mp4", "linked/deep/y.mp4", "z.mp4")


def test_two_links_to_one_folder_are_two_folders(tmp_path):
    root = put(tmp_path / "root", "all/x.mp4")
    for name in ("a", "z"):
        (root / name).symlink_to(root / "all")
    assert Shelf(root).media == ("a/x.mp4", "all/x.mp4", "z/x.mp4")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_that_may_not_be_looked_into_is_named(tmp_path):
    put(tmp_path, "a/x.mp4", "shut/y.mp4")
    (tmp_path / "shut").chmod(0)
    try:
        shelf = Shelf(tmp_path)
    finally:
        (tmp_path / "shut").chmod(0o700)
    assert shelf.media == ("a/x.mp4",)
    assert [Path(name).name for name in shelf.unreadable] == ["shut"]


def test_no_file_is_looked_at_while_the_folder_is_walked(tmp_path, monkeypatch):
    put(tmp_path, "a/x.mp4", "a/y.mp4", "t.csv")
    (tmp_path / "a" / "link.mp4").symlink_to(tmp_path / "a" / "x.mp4")
    looked, stat = [], os.stat
    monkeypatch.setattr(os, "stat", lambda path, **_: looked.append(str(path)) or stat(path))
    shelf = Shelf(tmp_path)
    assert len(shelf.media) == 3
    assert not [path for path in looked if path.endswith(("mp4", "csv"))]


def test_a_root_or_metadata_that_are_none_are_one_sentence(tmp_path):
    with pytest.raises(MbtError, match="^--data .*nowhere is no folder. Give the folder"):
        Shelf(tmp_path / "nowhere")
    with pytest.raises(MbtError, match="^--data .*x.mp4 is no folder"):
        Shelf(put(tmp_path, "x.mp4") / "x.mp4")
    with pytest.raises(MbtError, match="^--metadata .*nowhere is neither a folder nor a file"):
        Shelf(tmp_path, tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["test.csv", "test.excerpt.csv", "test.v2.1.csv"])
def test_a_table_may_be_called_a_version_of_its_name(tmp_path, name):
    shelf = Shelf(put(tmp_path, f"deep/{name}"))
    assert shelf.table("test.csv") == tmp_path / "deep" / name


@pytest.mark.parametrize(
    "name", ["mytest.csv", "test_2.csv", "test.txt", "test.csv.bak", "a.test.csv", ".test.csv"]
)
def test_other_names_are_other_tables(tmp_path, name):
    shelf = Shelf(put(tmp_path, name))
    assert shelf.table("test.csv") is None
    with pytest.raises(MbtError, match="^No test.csv lies below .*: give its folder with --meta"):
        shelf.needed("test.csv", source="The library")


def test_the_very_name_wins_over_versions_and_the_first_name_over_the_others(tmp_path):
    shelf = Shelf(put(put(tmp_path, "a.old.csv", "b.csv", text="1"), "z/a.csv", text="2"))
    assert shelf.table("a.csv", "b.csv") == tmp_path / "z/a.csv"
    assert shelf.table("none.csv", "b.csv") == tmp_path / "b.csv"


def test_different_tables_of_one_name_are_listed_and_equal_ones_are_one(tmp_path):
    put(tmp_path, "one/a.csv", "two/a.csv", text="same")
    assert Shelf(tmp_path).table("a.csv") == tmp_path / "one/a.csv"
    put(tmp_path, "two/a.csv", text="more")  # of the same length and time
    for name in ("one/a.csv", "two/a.csv"):
        os.utime(tmp_path / name, (7, 7))
    with pytest.raises(MbtError, match="several different files for a.csv: .*one.*two.*--metadata"):
        Shelf(tmp_path).table("a.csv")
    assert Shelf(tmp_path, tmp_path / "two").table("a.csv") == tmp_path / "two/a.csv"


def test_a_table_of_another_form_is_another_datasets(tmp_path):
    put(tmp_path, "other/a.csv", text="1088_IOM,NEU\n")
    with pytest.raises(MbtError, match=r"No a.csv lies below .* \(.*other/a.csv: other rows"):
        Shelf(tmp_path).needed("a.csv", source="The library", form=r"\d,")
    put(tmp_path, "ours/a.csv", text="\ufeff1,dog\n")
    assert Shelf(tmp_path).table("a.csv", form=r"\d,") == tmp_path / "ours/a.csv"


def test_metadata_of_a_folder_of_their_own_are_looked_for_there_alone(tmp_path):
    put(tmp_path / "data", "x.mp4", "a.csv", "b.csv")
    put(tmp_path / "meta", "y.mp4", "deep/a.csv")
    shelf = Shelf(tmp_path / "data", tmp_path / "meta")
    assert shelf.table("a.csv") == tmp_path / "meta/deep/a.csv"
    assert shelf.table("b.csv") is None
    assert shelf.media == ("x.mp4",)


def test_the_one_table_that_is_given_wins_and_the_others_are_still_found(tmp_path):
    put(tmp_path / "data", "a.csv", "b.csv", text="old")
    put(tmp_path, "a.new.csv")
    shelf = Shelf(tmp_path / "data", tmp_path / "a.new.csv")
    assert shelf.table("a.csv") == shelf.given == tmp_path / "a.new.csv"
    assert shelf.table("b.csv") == tmp_path / "data/b.csv"


def test_the_tables_that_were_asked_for_and_found_are_kept(tmp_path):
    put(tmp_path, "a.csv", "b.v2.csv", "c.csv", "same/c.csv", "one/d.csv")
    put(tmp_path, "two/d.csv", text="other")
    shelf = Shelf(tmp_path)
    assert shelf.taken == []
    shelf.table("none.csv")
    shelf.table("a.csv", form=r"\d,")
    with pytest.raises(MbtError):
        shelf.needed("nothing.csv", source="The library")
    with pytest.raises(MbtError, match="several different"):
        shelf.table("d.csv")
    shelf.tables(".csv")
    assert shelf.taken == []
    shelf.needed("b.csv", source="The library")
    shelf.table("none.csv", "c.csv", "a.csv")
    assert shelf.taken == [tmp_path / "b.v2.csv", tmp_path / "c.csv"]
    assert Shelf(tmp_path).taken == []


def table(tmp_path, data):
    (tmp_path / "t.csv").write_bytes(data)
    return tmp_path / "t.csv"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_rows_have_the_numbers_of_their_lines(tmp_path, end):
    path = table(tmp_path, b'\xef\xbb\xbfa,"b, c"' + end + end + "é,d".encode())
    assert list(rows(path)) == [(1, ["a", "b, c"]), (3, ["é", "d"])]


@pytest.mark.parametrize(
    ("data", "line", "why"),
    [
        (b'a,b\n"c,d\n",f\n', 2, "quote is opened"),
        (b'a,b\ne,"f', 2, "no row of a csv file"),
        (b'a,b\n"c"d,e\n', 2, "no row of a csv file"),
        (b"a,b\nc,d\n\xff,e\n", 3, "no UTF-8"),
        (b"a,b\nc," + b"x" * 200_000, 2, "no row of a csv file"),
    ],
)
def test_what_is_no_csv_is_one_sentence_with_its_line(tmp_path, data, line, why):
    with pytest.raises(MbtError, match=f"t.csv, line {line}: .*{why}"):
        list(rows(table(tmp_path, data)))


def test_columns_go_by_their_names(tmp_path):
    path = table(tmp_path, b"c,a ,b\n1,2,3\n")
    assert list(named(path, ("a", "c"), ("z",))) == [(2, ["2", "1", ""])]
    for data, why in (
        (b"a,b\n", "line 1: no column is called 'c', only a, b"),
        (b"", "line 1: no column is called 'c', only none"),
        (b"c,c\n", "line 1: two columns are called 'c'"),
        (b"c,d\n1\n", "line 2: the row has 1 field, the header 2"),
        (b"c,d\n1,2,3\n", "line 2: the row has 3 fields"),
    ):
        with pytest.raises(MbtError, match=why):
            list(named(table(tmp_path, data), ("c",)))


def test_times_are_seconds_or_clocks():
    path = Path("t.csv")
    assert clock(path, 1, "00:05:27.28") == pytest.approx(327.28)
    assert clock(path, 1, "01:00:02") == 3602
    assert seconds(path, 1, " 30.000") == 30
    for text in ("", "327.28", "00:05:60.0", "00:61:00", "00:05:27.28x", "-00:05:27", "٠٠:٠٥:٢٧"):
        with pytest.raises(MbtError, match="t.csv, line 7: "):
            clock(path, 7, text)
    for text in ("", "nan", "inf", "-1", "1:30", "x"):
        with pytest.raises(MbtError, match="t.csv, line 7: .* no time in seconds"):
            seconds(path, 7, text)
