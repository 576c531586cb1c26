import sys

import pytest

from datamodules.rendering import variants
from datamodules.rendering.variants import LLVM, SCALAR, Variant, choose_variant, libraries, works

needs_mitsuba = pytest.mark.skipif(variants.find_spec("mitsuba") is None, reason="needs the extra render")


def test_the_library_of_the_user_comes_alone(monkeypatch):
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", "/somewhere/libLLVM.so.19.1")
    assert libraries() == ["/somewhere/libLLVM.so.19.1"]


def test_newer_libraries_come_first_and_old_ones_not_at_all(monkeypatch, tmp_path):
    for name in ("libLLVM.so.19.1", "libLLVM.so.22.1", "libLLVM-15.so.1", "libLLVM.so.14"):
        (tmp_path / name).touch()
    monkeypatch.delenv("DRJIT_LIBLLVM_PATH", raising=False)
    monkeypatch.setattr(variants, "FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(variants, "find_library", lambda name: None)
    assert libraries() == [str(tmp_path / "libLLVM.so.22.1"), str(tmp_path / "libLLVM.so.19.1")]


@needs_mitsuba
def test_a_library_that_is_none_leaves_scalar_rgb(monkeypatch, tmp_path):
    bad = tmp_path / "libLLVM.so.19.1"
    bad.write_bytes(b"not a library")
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", str(bad))
    assert choose_variant() == Variant(SCALAR)
    with pytest.raises(ValueError, match=r"llvm_ad_rgb draws no image here.*libLLVM 19.*DRJIT_LIBLLVM_PATH"):
        choose_variant(LLVM)


def test_a_probe_that_aborts_means_no(monkeypatch):
    monkeypatch.setattr(variants, "PROBE", "import os; os.abort()")
    assert not works(Variant(LLVM))


def test_a_probe_that_does_not_end_means_no(monkeypatch):
    monkeypatch.setattr(variants, "PROBE", "while True: pass")
    assert not works(Variant(LLVM), seconds=0.2)


def test_the_first_library_that_works_is_taken(monkeypatch):
    monkeypatch.setattr(variants, "libraries", lambda: ["/bad", "/good", "/other"])
    monkeypatch.setattr(variants, "works", lambda variant: variant.library == "/good")
    assert choose_variant() == Variant(LLVM, "/good")
    assert choose_variant().environment() == {"DRJIT_LIBLLVM_PATH": "/good"}


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="scalar_rgb, llvm_ad_rgb, cuda_ad_rgb, got 'scalar_mono'"):
        choose_variant("scalar_mono")


def test_without_the_extra_the_way_to_install_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    monkeypatch.setattr(variants, "find_spec", lambda name: None if name == "mitsuba" else name)
    with pytest.raises(ValueError, match=r"needs mitsuba, not installed.*pip install -e '\.\[render\]'"):
        variants.require_packages()
