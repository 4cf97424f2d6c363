"""The identities of the paper. Sizes are distinct primes, so no two axes can be confused."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mbt_cli.architecture import MBT as Spec
from mbt_cli.errors import MbtError
from mbt_cli.model.embed import Embed
from mbt_cli.model.fusion import Layer, join
from mbt_cli.model.mbt import MBT, predict
from mbt_cli.model.transformer import Attention, Block
from mbt_cli.wiring import FUSIONS, layers, parse, reach

B, AUDIO, VIDEO, FSN, D, HEADS, C = 2, 5, 7, 3, 22, 11, 13
TWO = ("audio", "video")
SHAPES = {"audio": (1, 23, 17), "video": (3, 5, 13, 19)}


def block(norm_eps: float = 1e-6, gelu: str = "exact") -> Block:
    made = Block(D, HEADS, 3 * D, gelu, norm_eps, 0.0)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    return made.eval()


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def tokens(**sizes: int) -> dict[str, torch.Tensor]:
    return {name: torch.randn(B, n, D) for name, n in sizes.items()}


def model(fusion: str, fusion_layer: int, depth: int = 4, shapes=SHAPES, **changes) -> MBT:
    fields = {
        "depth": depth, "width": D, "heads": HEADS, "mlp_ratio": 1.5, "bottlenecks": FSN,
        "tubelet": (2, 5, 7), "patch": (11, 5), "head_init": "xavier", "position_std": 1.0,
    }  # fmt: skip
    spec = Spec(fusion=fusion, fusion_layer=fusion_layer, **(fields | changes))
    return MBT(spec, shapes, C).eval()


def views(shapes=SHAPES) -> dict[str, torch.Tensor]:
    return {m: torch.randn(B, *shape) for m, shape in shapes.items()}


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_block_reading_itself_is_the_pre_norm_layer_of_torch():
    ours = block()
    theirs = nn.TransformerEncoderLayer(
        D, HEADS, 3 * D, dropout=0.0, activation="gelu", batch_first=True, norm_first=True,
        layer_norm_eps=1e-6,
    ).eval()  # fmt: skip
    names = {
        "self_attn.in_proj_weight": ours.attention.qkv.weight,
        "self_attn.in_proj_bias": ours.attention.qkv.bias,
    }
    for name, part in {
        "self_attn.out_proj": ours.attention.out,
        "linear1": ours.mlp[0],
        "linear2": ours.mlp[2],
        "norm1": ours.norm1,
        "norm2": ours.norm2,
    }.items():
        names |= {f"{name}.{k}": v for k, v in part.state_dict().items()}
    theirs.load_state_dict(names)
    x = torch.randn(B, AUDIO, D)
    close(ours(x, x), theirs(x))


def test_one_product_for_queries_and_context_is_what_two_give():
    attention = block().attention
    x = torch.randn(B, AUDIO, D)
    close(attention(x, x), attention(x, x.clone()))


def test_a_block_reads_the_context_through_its_own_norm():
    one = block()
    x, context = torch.randn(B, AUDIO, D), 5 + 3 * torch.randn(B, VIDEO, D)
    y = x + one.attention(one.norm1(x), one.norm1(context))
    close(one(x, context), y + one.mlp(one.norm2(y)))


def test_the_weights_shown_are_the_weights_used():
    attention = Attention(D, heads=1)
    attention.qkv.weight.data[2 * D :], attention.qkv.bias.data[2 * D :] = torch.eye(D), 0
    x, context = torch.randn(B, AUDIO, D), torch.randn(B, VIDEO, D)
    close(attention(x, context), attention.out(attention.weights(x, context) @ context))
    close(attention.weights(x, context).sum(-1), torch.ones(B, AUDIO))


@pytest.mark.parametrize(("gelu", "form"), [("tanh", "tanh"), ("exact", "none")])
def test_gelu_has_the_form_asked(gelu, form):
    x = torch.linspace(-3, 3, 31)
    assert torch.equal(block(gelu=gelu).mlp[1](x), F.gelu(x, approximate=form))


def test_every_norm_has_the_eps_asked():
    norms = [m for m in model("late", 4, norm_eps=3e-4).modules() if isinstance(m, nn.LayerNorm)]
    assert len(norms) == 2 * 2 * 4 + 1
    assert all(norm.eps == 3e-4 for norm in norms)


def test_bottleneck_tokens_are_the_mean_of_what_each_modality_writes():
    layer = Layer(parse("bottleneck", TWO), block)
    z = tokens(audio=AUDIO, video=VIDEO, fsn=FSN)
    takes = []
    for modality, one in zip(TWO, layer.blocks, strict=True):
        x = torch.cat([z[modality], z["fsn"]], 1)
        takes.append(one(x, x))
    after = layer(z)
    close(after["fsn"], (takes[0][:, AUDIO:] + takes[1][:, VIDEO:]) / 2)
    close(after["audio"], takes[0][:, :AUDIO])


def test_a_sequential_bottleneck_hands_on_what_the_first_wrote():
    layer = Layer(parse("bottleneck_video_first", TWO), block)
    z = tokens(audio=AUDIO, video=VIDEO, fsn=FSN)
    first, then = layer.blocks
    video = first(x := torch.cat([z["video"], z["fsn"]], 1), x)
    audio = then(x := torch.cat([z["audio"], video[:, VIDEO:]], 1), x)
    after = layer(z)
    close(after["video"], video[:, :VIDEO])
    close(after["audio"], audio[:, :AUDIO])
    close(after["fsn"], audio[:, AUDIO:])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_layer_keeps_every_stream_its_shape(fusion):
    z = tokens(audio=AUDIO, video=VIDEO, flow=2, fsn=FSN)
    after = Layer(parse(fusion, ("audio", "flow", "video")), block)(z)
    assert {s: t.shape for s, t in after.items()} == {s: t.shape for s, t in z.items()}


def test_cross_attention_with_tied_weights_is_self_attention():
    cross, own = (Layer(parse(f, TWO), block) for f in ("cross_attention", "self_attention"))
    for one in cross.blocks:
        one.load_state_dict(own.blocks[0].state_dict())
    z = tokens(audio=AUDIO, video=VIDEO)
    for stream in z:
        close(cross(z)[stream], own(z)[stream])


def test_shared_weights_are_one_block_for_all_lines():
    shared = Layer(parse("bottleneck", TWO), block, share=True)
    apart = Layer(parse("bottleneck", TWO), block)
    assert len(shared.blocks) == 1
    for one in apart.blocks:
        one.load_state_dict(shared.blocks[0].state_dict())
    z = tokens(audio=AUDIO, video=VIDEO, fsn=FSN)
    for stream, after in shared(z).items():
        close(after, apart(z)[stream])


def test_a_bottleneck_of_no_tokens_is_late_fusion():
    tight, late = (Layer(parse(f, TWO), block) for f in ("bottleneck", "late"))
    late.load_state_dict(tight.state_dict())
    z = tokens(audio=AUDIO, video=VIDEO, fsn=0)
    for stream in TWO:
        close(tight(z)[stream], late(z)[stream])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fusing_after_the_last_layer_is_late_fusion(fusion):
    late, never = model("late", 0), model(fusion, 4)
    never.load_state_dict(late.state_dict())
    clip = views()
    for modality, logits in late(clip).items():
        close(never(clip)[modality], logits)


@pytest.mark.parametrize("fusion", ["bottleneck", "cross_attention", "self_attention"])
def test_the_order_of_modalities_does_not_matter_to_symmetric_strategies(fusion):
    one = Layer(parse(fusion, TWO), block)
    other = Layer(parse(fusion, TWO[::-1]), block)
    for there, here in zip(other.blocks, list(one.blocks)[::-1], strict=True):
        there.load_state_dict(here.state_dict())
    z = tokens(audio=AUDIO, video=VIDEO, fsn=FSN)
    for stream, after in one(z).items():
        close(other(z)[stream], after)


CASES = [(fusion, layer, tie) for fusion in FUSIONS for layer in range(4) for tie in (False, True)]


@pytest.mark.parametrize(("fusion", "fusion_layer", "tie"), CASES)
def test_a_modality_depends_on_another_just_where_the_wiring_says_so(fusion, fusion_layer, tie):
    m = model(fusion, fusion_layer, share_weights=tie)
    after = reach(layers(fusion, fusion_layer, 4, TWO), TWO)
    for modality in TWO:
        clip = {name: view.requires_grad_() for name, view in views().items()}
        m(clip)[modality].square().sum().backward()
        for other, view in clip.items():
            depends = view.grad is not None and bool(view.grad.any())
            assert depends == (other in after[modality]), (modality, other)


@pytest.mark.parametrize("many", [1, 7])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_so_it_is_where_the_tokens_are_feature_vectors(fusion, many):
    shapes = {"audio": (5, many), "video": (13, many)}
    for fusion_layer in (0, 2, 3):
        m = model(fusion, fusion_layer, shapes=shapes)
        after = reach(layers(fusion, fusion_layer, 4, TWO), TWO)
        for modality in TWO:
            clip = {name: view.requires_grad_() for name, view in views(shapes).items()}
            m(clip)[modality].square().sum().backward()
            depends = {o for o, view in clip.items() if view.grad is not None and view.grad.any()}
            assert depends == after[modality]


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("fusion_layer", [0, 2])
def test_so_it_is_for_three_modalities(fusion, fusion_layer):
    three, shapes = ("audio", "video", "words"), SHAPES | {"words": (7, 5)}
    spec = Spec(
        modalities=three, fusion=fusion, fusion_layer=fusion_layer, depth=3, width=D, heads=HEADS,
        bottlenecks=FSN, tubelet=(2, 5, 7), patch=(11, 5), head_init="xavier", position_std=1.0,
    )  # fmt: skip
    m, after = MBT(spec, shapes, C).eval(), reach(layers(fusion, fusion_layer, 3, three), three)
    for modality in three:
        clip = {name: view.requires_grad_() for name, view in views(shapes).items()}
        m(clip)[modality].square().sum().backward()
        depends = {o for o, view in clip.items() if view.grad is not None and view.grad.any()}
        assert depends == after[modality]


def test_a_line_nobody_reads_is_left_out_and_changes_nothing():
    hub = "each <- each fsn; fsn <- all fsn"
    m, clip = model(hub, 1, depth=2), views()
    assert [len(layer.blocks) for layer in m.layers] == [2, 2]
    whole = Layer(parse(hub, TWO), lambda: Block(D, HEADS, 33, "tanh", 1e-6, 0.0))
    for mine, there in zip(m.layers[1].blocks, whole.blocks, strict=False):
        there.load_state_dict(mine.state_dict(), strict=True)
    z = {name: embed(clip[name]) for name, embed in m.embed.items()}
    z["fsn"] = m.fsn.expand(B, -1, -1)
    z = m.layers[0](z)
    after = whole(z)
    for modality, logits in m(clip).items():
        close(logits, m.head(m.norm(after[modality][:, 0])))


@pytest.mark.parametrize(("how", "tall"), [("uniform", False), ("released", True)])
def test_sampled_frames_alone_become_tokens(how, tall):
    spec = Spec(width=D, heads=HEADS, tubelet=(1, 5, 7), sampled_frames=2, sampling=how)
    embed = Embed((3, 5, 13, 19), spec, cls=False)
    view = torch.randn(B, 3, 5, 13, 19)
    taken = view[:, :, spec.frames(5)]
    assert spec.frames(5) == [2, 3]
    if tall:  # 26 rows: the third row of patches reaches from one frame into the next
        picture = torch.cat([taken[:, :, 0], taken[:, :, 1]], 2)
        theirs = F.unfold(picture, (5, 7), stride=(5, 7)).transpose(1, 2)
    else:
        theirs = torch.cat(
            [F.unfold(taken[:, :, i], (5, 7), stride=(5, 7)) for i in range(2)], 2
        ).transpose(1, 2)
    close(embed.patches(view), theirs)
    assert embed(view).shape == (B, len(theirs[0]), D)


@pytest.mark.parametrize(
    ("readout", "pool"),
    [("max_joint", lambda x: x.max(1).values), ("sum_joint", lambda x: x.sum(1))],
)
def test_joint_readout_may_be_the_largest_value_or_the_sum(readout, pool):
    m, clip = model("self_attention", 2, readout=readout), views()
    z = encoded(m, clip)
    close(m(clip)["all"], m.head(pool(m.norm(torch.cat([z["audio"], z["video"]], 1)))))


@pytest.mark.parametrize("readout", ["cls", "mean_joint", "mean_each"])
def test_pre_logits_are_a_linear_layer_with_tanh_before_the_classifier(readout):
    m, clip = model("late", 2, depth=2, readout=readout, pre_logits=17), views()
    assert m.head.in_features == 17
    seen = []
    m.pre_logits[0].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    for logits, x in zip(m(clip).values(), seen, strict=True):
        close(logits, m.head(torch.tanh(F.linear(x, *m.pre_logits[0].parameters()))))
    assert m.pre_logits[0].bias.abs().max() == 0
    assert m.pre_logits[0].weight.std().item() == pytest.approx(D**-0.5, rel=0.2)


def test_patches_are_those_of_a_convolution_whose_kernel_is_its_stride():
    for shape, patch, conv in (
        ((3, 5, 13, 19), (2, 5, 7), F.conv3d),
        ((1, 23, 17), (11, 5), F.conv2d),
        ((7, 5), (1,), F.conv1d),
    ):
        spec = Spec(width=D, heads=HEADS, tubelet=(2, 5, 7), patch=(11, 5))
        embed = Embed(shape, spec, cls=False)
        nn.init.normal_(embed.project.bias)
        view = torch.randn(B, *shape)
        kernel = embed.project.weight.view(D, shape[0], *patch)
        theirs = conv(view, kernel, embed.project.bias, stride=patch).flatten(2).transpose(1, 2)
        close(embed(view), theirs)


def test_cls_stands_first_and_every_token_has_its_position():
    embed = Embed(SHAPES["audio"], Spec(width=D, heads=HEADS, patch=(11, 5)), cls=True)
    nn.init.normal_(embed.cls)
    nn.init.normal_(embed.position)
    view = torch.randn(B, *SHAPES["audio"])
    after = embed(view)
    assert after.shape == (B, 1 + 2 * 3, D)
    close(after[:, 0], (embed.cls + embed.position[:1]).expand(B, -1))
    close(after[:, 1:], embed.project(embed.patches(view)) + embed.position[1:])


def encoded(m: MBT, clip):
    z = {name: embed(clip[name]) for name, embed in m.embed.items()}
    for layer in m.layers:
        z = layer(z)
    return z


def test_cls_readout_has_one_norm_and_one_classifier_for_all_modalities():
    m, clip = model("cross_attention", 2), views()
    z = encoded(m, clip)
    for modality, logits in m(clip).items():
        close(logits, m.head(m.norm(z[modality][:, 0])))
    close(predict(m(clip)), sum(m(clip).values()) / 2)


def test_joint_readout_weights_every_token_alike():
    m, clip = model("self_attention", 2, readout="mean_joint"), views()
    z = encoded(m, clip)
    found = m(clip)
    assert list(found) == ["all"]
    normed = m.norm(torch.cat([z["audio"], z["video"]], 1))
    close(found["all"], m.head(normed).mean(1))


def test_readout_of_each_modality_is_the_mean_of_its_tokens():
    m, clip = model("late", 2, readout="mean_each"), views()
    z = encoded(m, clip)
    for modality, logits in m(clip).items():
        close(logits, m.head(m.norm(z[modality]).mean(1)))


def test_bottleneck_tokens_are_many_as_asked_and_none_where_no_line_has_them():
    assert model("bottleneck", 2).fsn.shape == (FSN, D)
    assert model("bottleneck", 4).fsn is None
    assert model("cross_attention", 2).fsn is None


def test_three_modalities_and_feature_vectors_run():
    shapes = SHAPES | {"words": (7, 5)}
    spec = Spec(
        modalities=("audio", "video", "words"), fusion_layer=1, depth=3, width=D, heads=HEADS,
        bottlenecks=FSN, tubelet=(2, 5, 7), patch=(11, 5),
    )  # fmt: skip
    assert {m: x.shape for m, x in MBT(spec, shapes, C)(views(shapes)).items()} == (
        dict.fromkeys(spec.modalities, (B, C))
    )


def test_bottlenecks_off_is_late_fusion_with_the_same_weights():
    m, late = model("bottleneck", 1), model("late", 4)
    late.load_state_dict({k: v for k, v in m.state_dict().items() if k != "fsn"})
    clip = views()
    m.rewire("late")
    for modality, logits in late(clip).items():
        close(m(clip)[modality], logits)


def refused(m: MBT, fusion: str) -> str:
    with pytest.raises(MbtError) as error:
        m.rewire(fusion)
    return str(error.value)


def test_a_model_cannot_be_rewired_to_what_it_has_no_blocks_or_tokens_for():
    assert refused(model("cross_attention", 1), "bottleneck") == (
        "bottleneck cannot run this model: it has no bottleneck tokens."
    )
    assert refused(model("bottleneck", 1), "self_attention") == (
        "self_attention cannot run this model: it has 1 blocks a layer, and this model, trained"
        " with bottleneck, has 2."
    )


def test_shared_weights_run_any_number_of_lines():
    m, clip = model("bottleneck", 1, share_weights=True), views()
    before = m(clip)
    m.rewire("self_attention")
    other = model("self_attention", 1, share_weights=True)
    other.load_state_dict({k: v for k, v in m.state_dict().items() if k != "fsn"})
    for modality, logits in other(clip).items():
        close(m(clip)[modality], logits)
        assert (logits - before[modality]).abs().max() > 1e-3


def test_what_needs_no_copy_and_no_second_norm_has_none():
    z = tokens(audio=AUDIO, video=VIDEO, fsn=FSN)
    assert join(z, ("audio",)) is z["audio"]
    for fusion, norms in (("late", 1), ("bottleneck", 1), ("cross_attention", 2)):
        layer, normed, made = Layer(parse(fusion, TWO), block), [], []
        first = layer.blocks[0]
        first.norm1.register_forward_hook(lambda *_, to=normed: to.append(1))
        first.register_forward_hook(lambda _, __, y, to=made: to.append(y))
        after = layer(z)
        assert len(normed) == norms
        assert after["audio"].data_ptr() == made[0].data_ptr()


def test_stochastic_depth_drops_whole_branches_of_a_clip_and_rescales_nothing():
    one = Block(D, HEADS, D, "tanh", 1e-6, 0.5)
    nn.init.constant_(one.mlp[2].weight, 0.0)
    nn.init.constant_(one.mlp[2].bias, 1.0)
    nn.init.constant_(one.attention.out.weight, 0.0)
    nn.init.constant_(one.attention.out.bias, 10.0)
    x = torch.zeros(97, AUDIO, D)
    added = one.train()(x, x)
    assert {round(v) for v in added.unique().tolist()} == {0, 1, 10, 11}
    assert torch.equal(added, added[:, :1, :1].expand_as(added))
    close(one.eval()(x, x), torch.full_like(x, 11.0))


def test_stochastic_depth_is_linear_in_depth_from_zero():
    m = model("late", 4, stochastic_depth=0.3)
    rates = [getattr(layer.blocks[0].drop, "chance", 0.0) for layer in m.layers]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])
    for depth, last in ((1, 0.0), (2, 0.3)):
        m = model("late", 4, depth=depth, stochastic_depth=0.3)
        assert getattr(m.layers[-1].blocks[0].drop, "chance", 0.0) == last


def test_a_fresh_model_is_initialised_as_the_official_one():
    spec = Spec(fusion_layer=1, depth=2, width=192, heads=3, tubelet=(1, 16, 16), bottlenecks=97)
    m = MBT(spec, {"audio": (1, 160, 128), "video": (3, 2, 64, 64)}, 31)
    first = m.layers[0].blocks[0]
    bound = (6 / (192 + 192)) ** 0.5
    for part in (*first.attention.qkv.weight.chunk(3), first.attention.out.weight):
        assert 0.98 * bound < part.abs().max() <= bound
    assert first.mlp[0].weight.abs().max() <= (6 / (192 + 768)) ** 0.5
    assert 0 < first.mlp[0].bias.abs().max() < 1e-5
    kernel = m.embed["video"].project.weight
    assert kernel.std().item() == pytest.approx(768**-0.5, rel=0.02)
    assert kernel.abs().max() < 2.01 * 768**-0.5 / 0.8796
    assert m.embed["video"].position.std().item() == pytest.approx(0.02, rel=0.1)
    assert m.fsn.std().item() == pytest.approx(0.02, rel=0.05)
    zero = (m.head.weight, m.head.bias, m.embed["audio"].cls, first.attention.qkv.bias)
    assert not any(tensor.any() for tensor in zero)
