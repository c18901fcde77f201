"""A tokenizer in a worker process gives what it gives in this one, and fails like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from tokbench.errors import AdapterError, ContractError, MissingPackageError, SetupError, WorkerError
from tokbench.testing import check_tokenizer
from tokbench.tokenizer import Codes, capabilities

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    Tell = Callable[[str], None]


@pytest.fixture
def ours(shared: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The model of the checkout, built in this process as the worker builds it."""
    monkeypatch.syspath_prepend(shared[0].checkout)
    from theirs.model import Model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Model().eval()


def test_it_gives_bit_for_bit_what_this_process_gives(running: Any, ours: Any, pictures: Tensor) -> None:
    codes = running.encode(pictures)
    assert codes.ids.dtype == torch.int32
    assert codes.ids.unique().numel() > 10
    with torch.no_grad():
        assert torch.equal(codes.ids, ours.ids(pictures))
        assert torch.equal(running.decode(codes), ours.images(codes.ids))
    assert running.stored_numbers == sum(each.numel() for each in ours.parameters()) == 3 * 64 + 1


def test_the_conformance_kit_passes(running: Any) -> None:
    report = check_tokenizer(running)
    assert report.passed, report
    assert [each.name for each in report.checks][-2:] == ["codebook", "variable length"]


def test_capabilities_work_over_there(running: Any, pictures: Tensor) -> None:
    assert capabilities(running) == ("codebook", "encoder-features", "variable-length")
    assert torch.equal(running.codebook(), torch.arange(512.0).bfloat16().reshape(256, 2))
    assert torch.equal(running.encoder_features(pictures), pictures.flatten(2).mT.half())
    assert running.lengths() == (1, 64)
    codes = running.encode(pictures)
    assert torch.equal(running.truncate(codes, 1).ids, codes.ids[:, :1])


@pytest.mark.usefixtures("without_process")
def test_a_tokenizer_without_capabilities_shows_none(theirs: Any) -> None:
    theirs.tell(
        "class Plain:\n    def encode(self, images): pass\n    def decode(self, codes): pass\n"
        "def build(spec, source, weights): return Plain()"
    )
    assert capabilities(theirs.build()) == ()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_latents_keep_their_type_and_bits(running: Any, tell: Tell, dtype: str, pictures: Tensor) -> None:
    made = f"images[:, :, :, :5].to(torch.{dtype}).transpose(1, 2)"
    tell(f"def encode(self, images): return Codes(latents={made})")
    wanted = eval(made, {"images": pictures, "torch": torch})
    got = running.encode(pictures).latents
    assert got.dtype == wanted.dtype
    assert torch.equal(got, wanted)


def test_payloads_arrive_as_they_are(running: Any, tell: Tell, pictures: Tensor) -> None:
    tell(
        "def encode(self, images): return Codes(payloads=tuple(bytes([i]) * i for i in range(len(images))))\n"
        "def decode(self, codes): return torch.tensor([float(len(each)) for each in codes.payloads])"
    )
    codes = running.encode(pictures)
    assert codes.payloads == (b"", b"\1", b"\2\2")
    assert running.decode(codes).tolist() == [0, 1, 2]


def test_random_numbers_are_those_of_this_process(running: Any, tell: Tell, pictures: Tensor) -> None:
    tell("def encode(self, images): return Codes(latents=torch.rand(len(images), 2))")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        theirs = [running.encode(pictures).latents for _ in range(2)]
        torch.manual_seed(7)
        ours = [torch.rand(3, 2) for _ in range(2)]
    assert torch.equal(torch.stack(theirs), torch.stack(ours))
    assert not torch.equal(*ours)


def test_printing_anything_anywhere_changes_nothing(
    running: Any, tell: Tell, pictures: Tensor, capfd: pytest.CaptureFixture[str]
) -> None:
    plain = running.encode(pictures)
    tell(
        "import os, subprocess\n"
        "def encode(self, images):\n"
        "    for fd in (1, 2): os.write(fd, bytes(range(256)) * 4096)\n"  # far more than a pipe holds
        "    print('TOKB' * 9)\n"
        "    subprocess.run(['sh', '-c', 'echo out; echo err >&2'])\n"
        "    return Codes(ids=self.model.ids(images))"
    )
    assert torch.equal(running.encode(pictures).ids, plain.ids)
    assert running.decode(plain).shape == pictures.shape
    assert capfd.readouterr() == ("", "")


def test_it_starts_in_the_checkout_and_sees_nothing_else(running: Any, tell: Tell, shared: Any) -> None:
    tell(
        "import os, sys\n"
        "def decode(self, codes):\n"
        "    told = [os.getcwd(), sys.path[0], sys.argv[1:], 'PYTHONPATH' in os.environ]\n"
        "    raise RuntimeError(told)"
    )
    folder = str(shared[0].checkout)
    with pytest.raises(AdapterError) as caught:
        running.decode(Codes(ids=torch.zeros(1, 64, dtype=torch.int32)))
    assert caught.value.message.endswith(str([folder, folder, [], False]))


def test_what_the_adapter_raises_is_an_error_with_its_traceback(
    running: Any, tell: Tell, pictures: Tensor
) -> None:
    tell("def encode(self, images): raise ZeroDivisionError('halt')")
    with pytest.raises(AdapterError, match=r"`theirs`: encode\(\) raised ZeroDivisionError: halt") as caught:
        running.encode(pictures)
    assert not isinstance(caught.value, WorkerError)
    assert "theirs_adapter.py" in caught.value.__notes__[0]
    failed = [each for each in check_tokenizer(running).checks if not each.passed]
    assert "theirs_adapter.py" in failed[0].trace
    tell("")
    assert running.encode(pictures).ids is not None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def encode(self, images): return images", "returned a Tensor; wanted tokbench.Codes"),
        ("def encode(self, images): return Codes(ids=[1, 2])", "`ids` is a list; wanted a tensor"),
        ("def encode(self, images): return Codes(ids=images.to(torch.complex64))", "torch.complex64"),
        ("def encode(self, images): return Codes(payloads=('text',))", "payload that is a str"),
        ("def decode(self, codes): return None", "`images` is a NoneType"),
    ],
)
def test_what_is_no_answer_breaks_the_contract(
    running: Any, tell: Tell, pictures: Tensor, code: str, reason: str
) -> None:
    tell(code)
    with pytest.raises(ContractError, match=reason):
        running.decode(running.encode(pictures))


def test_wrong_shapes_are_found_by_the_kit(running: Any, tell: Tell) -> None:
    tell("def decode(self, codes): return torch.zeros(1, 3, 5, 5)")
    report = check_tokenizer(running)
    assert "wanted (3, 3, 64, 64)" in next(each.detail for each in report.checks if each.name == "decode")


def test_a_worker_that_dies_is_named_and_replaced(running: Any, tell: Tell, pictures: Tensor) -> None:
    before = running.encode(pictures)
    tell("import os\ndef encode(self, images):\n    print('out of memory', flush=True)\n    os._exit(3)")
    with pytest.raises(WorkerError, match=r"ended with exit status 3 during encode\(\).*out of memory"):
        running.encode(pictures)
    tell("")
    assert torch.equal(running.encode(pictures).ids, before.ids)


def test_two_workers_side_by_side_do_not_mix(running: Any, tell: Tell, theirs: Any, pictures: Tensor) -> None:
    tell("def encode(self, images): return Codes(ids=self.model.ids(1 - images))")
    other = theirs.build()
    for _ in range(3):
        assert torch.equal(running.encode(pictures).ids, other.encode(1 - pictures).ids)
    assert not torch.equal(running.encode(pictures).ids, other.encode(pictures).ids)


@pytest.mark.usefixtures("without_process")
def test_a_missing_package_is_named(theirs: Any) -> None:
    theirs.tell("def build(spec, source, weights): import not_there")
    with pytest.raises(MissingPackageError, match="`theirs` needs the package `not_there`") as caught:
        theirs.build()
    assert (
        caught.value.hint == "name it in the dependencies of theirs_adapter.py, then `tokbench fetch theirs`"
    )


@pytest.mark.usefixtures("without_process")
def test_errors_of_tokbench_keep_their_type(theirs: Any) -> None:
    theirs.tell(
        "from tokbench.weights import load_state_dict\n"
        "def build(spec, source, weights): load_state_dict(source / 'none.pt')"
    )
    with pytest.raises(SetupError, match=r"`theirs`: weights .*none.pt cannot be read") as caught:
        theirs.build()
    assert caught.value.hint == "fetch the file again"


@pytest.mark.usefixtures("without_process")
def test_what_is_no_tokenizer_breaks_the_contract(theirs: Any) -> None:
    theirs.tell("def build(spec, source, weights): return 5")
    with pytest.raises(ContractError, match="returned int, wanted an object with `encode` and `decode`"):
        theirs.build()


@pytest.mark.usefixtures("without_process")
def test_build_gets_spec_weights_and_checkout_and_a_fixed_seed(theirs: Any, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"")
    theirs.tell(
        "def build(spec, source, weights): raise RuntimeError([spec, source, weights, torch.rand(1)])"
    )
    header = theirs.adapter.read_text().replace(
        "# stride", '# weights = [{ name = "w", source = "https://example.org/w" }]\n# stride'
    )
    theirs.adapter.write_text(header)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = torch.rand(1)
        for given, random_weights in (({"w": file}, False), ({}, True)):
            with pytest.raises(AdapterError) as caught:
                theirs.build(overrides={"w": file}, random_weights=random_weights)
            assert str([theirs.entry.variant.spec, theirs.checkout, given, drawn]) in caught.value.message


def test_a_build_that_dies_is_a_failure_for_good(theirs: Any) -> None:
    theirs.tell("import os\ndef build(spec, source, weights): os._exit(9)")
    with pytest.raises(AdapterError, match=r"ended with exit status 9 during build\(\)") as caught:
        theirs.build()
    assert not isinstance(caught.value, WorkerError)


def test_leaving_in_the_middle_of_a_call_is_what_it_raised(
    running: Any, tell: Tell, pictures: Tensor
) -> None:
    tell("def encode(self, images): raise SystemExit('usage: train.py')")
    with pytest.raises(AdapterError, match=r"encode\(\) raised SystemExit: usage: train.py") as caught:
        running.encode(pictures)
    assert not isinstance(caught.value, WorkerError)
    tell("")
    assert running.encode(pictures).ids is not None
