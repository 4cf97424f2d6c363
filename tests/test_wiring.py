import pytest

from mbt_cli.errors import MbtError, UnknownName
from mbt_cli.wiring import (
    FUSIONS,
    Line,
    exchanges,
    layers,
    live,
    name_of,
    parse,
    reach,
    streams,
    tidy,
    without,
)

TWO = ("audio", "video")
THREE = ("audio", "flow", "video")
BOTTLENECKS = [name for name in FUSIONS if name.startswith("bottleneck")]


def line(text: str) -> Line:
    left, right = text.split("<-")
    return Line(tuple(left.split()), tuple(right.split()))


def test_each_modality_is_a_line_of_its_own_and_all_share_one():
    assert parse("late", THREE) == (tuple(line(f"{m} <- {m}") for m in THREE),)
    assert parse("self_attention", THREE) == ((line("audio flow video <- audio flow video"),),)
    assert parse("cross_attention", TWO) == (
        (line("audio <- audio video"), line("video <- audio video")),
    )


def test_all_lines_of_a_symmetric_bottleneck_are_one_step():
    assert parse("bottleneck", TWO) == (
        (line("audio fsn <- audio fsn"), line("video fsn <- video fsn")),
    )


def test_a_sequential_bottleneck_lets_one_modality_go_first_and_the_rest_read_what_it_wrote():
    first, then = parse("bottleneck_video_first", THREE)
    assert first == (line("video fsn <- video fsn"),)
    assert then == (line("audio fsn <- audio fsn"), line("flow fsn <- flow fsn"))
    assert parse("bottleneck_audio_first", TWO)[0] == (line("audio fsn <- audio fsn"),)


def test_a_modality_alone_has_no_step_for_the_rest():
    assert parse("bottleneck_audio_first", ("audio",)) == ((line("audio fsn <- audio fsn"),),)


def test_a_wiring_of_the_users_own_reads_as_it_is_written():
    zorro = parse("each <- each; fsn <- all fsn", TWO)
    assert zorro == (
        (line("audio <- audio"), line("video <- video"), line("fsn <- audio video fsn")),
    )


def test_a_stream_named_twice_in_a_line_is_there_once():
    assert parse("audio <- audio all", TWO) == ((line("audio <- audio video"),),)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("bottlneck", "Did you mean 'bottleneck'?"),
        ("audoi <- audio", "No stream is called 'audoi'. Did you mean 'audio'?"),
        ("audio <- ", "A line of a wiring reads"),
        ("audio <- video <- audio", "A line of a wiring reads"),
        ("each <- each; ", "A line of a wiring reads"),
        ("bottleneck_flow_first", "No fusion strategy is called"),
    ],
)
def test_what_is_no_wiring_is_one_sentence(text, sentence):
    with pytest.raises(MbtError, match=sentence.replace("?", r"\?")) as caught:
        parse(text, TWO)
    assert "\n" not in str(caught.value)


def test_a_line_says_each_or_rest():
    with pytest.raises(MbtError) as caught:
        parse("each <- rest", TWO)
    assert str(caught.value) == (
        "A line of a wiring may say 'each' or 'rest', but one line says both."
    )


def test_a_strategy_that_names_an_absent_modality_is_refused():
    with pytest.raises(UnknownName, match="No stream is called 'video'"):
        parse("bottleneck_video_first", ("audio", "flow"))


def test_layers_below_the_fusion_layer_are_late():
    wired = layers("cross_attention", 3, 7, TWO)
    assert wired == [parse("late", TWO)] * 3 + [parse("cross_attention", TWO)] * 4


@pytest.mark.parametrize("fusion", FUSIONS)
def test_nothing_is_exchanged_where_fusion_never_starts(fusion):
    assert not exchanges(layers(fusion, 5, 5, TWO), TWO)


@pytest.mark.parametrize("fusion", [name for name in FUSIONS if name != "late"])
@pytest.mark.parametrize("modalities", [TWO, THREE])
def test_every_strategy_exchanges_over_two_layers(fusion, modalities):
    after = reach(layers(fusion, 3, 5, modalities), modalities)
    assert all(after[m] == set(modalities) for m in modalities)


def test_a_symmetric_bottleneck_in_the_last_layer_alone_carries_nothing():
    assert not exchanges(layers("bottleneck", 4, 5, TWO), TWO)
    assert exchanges(layers("bottleneck", 3, 5, TWO), TWO)


def test_a_sequential_bottleneck_in_the_last_layer_carries_one_way():
    after = reach(layers("bottleneck_video_first", 4, 5, TWO), TWO)
    assert after["audio"] == {"audio", "video"}
    assert after["video"] == {"video"}


def test_lines_of_a_step_read_what_was_there_before_it():
    together = reach([parse("audio <- video; video <- audio", TWO)], TWO)
    assert together["video"] == {"audio", "video"}
    chain = "flow <- audio; video <- flow"
    assert reach([parse(chain, THREE)], THREE)["video"] == {"flow", "video"}
    assert reach([parse(chain.replace(";", " then"), THREE)], THREE)["video"] == set(THREE)


def test_a_wiring_without_a_stream_has_no_empty_line():
    assert without(parse("bottleneck", TWO), "fsn") == parse("late", TWO)
    assert without(parse("each <- each; fsn <- all fsn", TWO), "fsn") == parse("late", TWO)
    assert without(parse("fsn <- all then all <- fsn", TWO), "fsn") == ()


def test_a_wiring_goes_by_the_first_name_that_means_it():
    assert name_of(parse("each <- all", TWO), TWO) == "cross_attention"
    assert name_of(parse("all <- all", ("audio",)), ("audio",)) == "late"
    assert name_of(parse("audio <- video", TWO), TWO) is None
    other = ("audio", "flow")  # of these no strategy can name the video
    assert name_of(parse("bottleneck_audio_first", other), other) == "bottleneck_audio_first"


def test_streams_are_those_read_and_those_written():
    assert streams([parse("fsn <- audio", TWO)]) == {"fsn", "audio"}
    assert streams(layers("bottleneck", 0, 2, TWO)) == {"audio", "video", "fsn"}


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("modalities", [TWO, THREE])
def test_every_line_of_a_strategy_is_read(fusion, modalities):
    for fusion_layer in range(4):
        asked = layers(fusion, fusion_layer, 3, modalities)
        assert live(asked, modalities) == asked


def test_a_line_nobody_reads_is_not_run():
    beside = layers("each <- each; fsn <- all fsn", 1, 3, TWO)
    assert live(beside, TWO) == layers("late", 3, 3, TWO)
    hub = layers("each <- each fsn; fsn <- all fsn", 1, 3, TWO)
    assert live(hub, TWO) == [*hub[:2], parse("each <- each fsn", TWO)]
    after = layers("video <- video fsn then fsn <- audio fsn", 0, 2, TWO)
    assert live(after, TWO) == [after[0], parse("video <- video fsn", TWO)]


def test_a_stream_nobody_reads_later_is_not_written_unless_its_line_reads_it():
    given = layers("audio fsn <- audio; video <- video fsn", 0, 2, TWO)
    assert live(given, TWO) == [given[0], parse("audio <- audio; video <- video fsn", TWO)]
    kept = layers("bottleneck", 0, 1, TWO)
    assert live(kept, TWO) == kept


def test_what_is_read_out_decides_which_lines_are_run():
    assert live(layers("late", 2, 2, TWO), ["video"]) == [parse("video <- video", TWO)] * 2
    cross = layers("cross_attention", 0, 2, TWO)
    assert live(cross, ["video"]) == [cross[0], parse("video <- all", TWO)]
    assert live(cross, []) == [(), ()]


def test_spaces_in_a_wiring_are_no_other_wiring():
    assert tidy("  audio   fsn<-audio fsn ;video <-  video then fsn<- all") == (
        "audio fsn <- audio fsn; video <- video then fsn <- all"
    )
    assert tidy("cross_attention") == "cross_attention"


@pytest.mark.parametrize("fusion", ["late", "cross_attention", "self_attention", "bottleneck"])
def test_a_modality_alone_has_nothing_to_fuse(fusion):
    alone = layers(fusion, 0, 2, ("audio",))
    assert alone == layers("late", 2, 2, ("audio",))
    assert layers("each fsn <- each fsn", 0, 1, ("audio",)) == [
        parse("audio fsn <- audio fsn", ("audio",))
    ]
