"""Every reader of the toolkit with valid files for it: READERS, by name.

A reader is called through its public function, and what it gives is used to the end: images are decoded,
blocks and tensors touched, every conversation read again from its place.
"""

import json
import shutil
from collections.abc import Callable
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.fuzz import corpus
from tests.fuzz.cases import Reader

# Data sets ------------------------------------------------------------------------------------------------


def _dataset(name: str, folder: Path) -> object:
    """Read a data set; nothing of the official layouts may lie outside its folder."""
    from llava_core.data.load import load_dataset

    dataset = load_dataset(folder / name)
    for example in dataset.examples:
        assert example.question.encode() is not None
        assert len(example.options) >= 2
        assert example.answer is None or 0 <= example.answer < len(example.options)
        if name == "." and example.image is not None:
            inside = (folder, folder.parent / "cache")
            assert any(Path(example.image.absolute()).is_relative_to(place) for place in inside)
            assert ".." not in example.image.parts
    return dataset


def _load_conversations(folder: Path) -> object:
    from llava_core.data.llava_json import load_conversations

    return list(load_conversations(folder / "chat.jsonl", folder).conversations)


# Pictures -------------------------------------------------------------------------------------------------


def _all_pictures(folder: Path) -> None:
    kinds = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "TIFF": "tif", "BMP": "bmp", "WEBP": "webp"}
    for kind, suffix in kinds.items():
        (folder / f"a.{suffix}").write_bytes(corpus.picture(kind=kind.lower()))


def _read_pictures(folder: Path) -> object:
    from llava_core.inference.image_source import open_image

    images = [open_image(file) for file in sorted(folder.iterdir())]
    assert all(image.mode == "RGB" and min(image.size) > 0 for image in images)
    return images


def _check_pictures(folder: Path) -> object:
    """Check the images of open questions; what passes has to be decoded as well."""
    from llava_core.data.images import read_image
    from llava_core.inference.questions import check_images, folder_questions

    questions = folder_questions(folder, "What is it?")
    check_images(questions)
    return [read_image(Path(source)) for question in questions for source in question.sources]


def _data_address(folder: Path) -> object:
    from llava_core.inference.image_source import open_image

    address = (folder / "address.txt").read_bytes().decode("utf-8", "surrogateescape")
    return open_image(address) if address.startswith("data:") else None


def _one_address(folder: Path) -> None:
    import base64

    body = base64.b64encode(corpus.picture()).decode()
    (folder / "address.txt").write_text(f"data:image/png;base64,{body}")


# Answers, reviews, questions ------------------------------------------------------------------------------


def _answers_corpus(name: str, content: object, folder: Path) -> None:
    (corpus.write_lines if name.endswith("jsonl") else corpus.write_json)(folder / name, content)  # type: ignore[arg-type]


def _answers(name: str, folder: Path) -> object:
    from llava_core.data.example import Dataset, Example
    from llava_core.evaluation.answers import read_answers

    examples = tuple(
        Example(id=str(n), question="?", options=("north", "south", "west")[: 2 + n % 2], answer=0,
        split="test", group=str(n))
        for n in range(4)
    )  # fmt: skip
    found = read_answers(folder / name, Dataset(name="d", examples=examples, fingerprint="f"))
    assert set(found.chosen) <= {"0", "1", "2", "3"}
    assert all(-1 <= index < 3 for index in found.chosen.values())
    return found


def _reviews(folder: Path) -> object:
    from llava_core.evaluation.llava_bench.reviews import read_reviews, review_line

    return [review_line(review).encode() for review in read_reviews(folder / "reviews.jsonl")]


def _our_reviews(folder: Path) -> object:
    from llava_core.evaluation.llava_bench.reviews import kept_reviews

    return kept_reviews(folder / "ours.jsonl", settings="s", prompts={})


def _bench(folder: Path) -> object:
    from llava_core.evaluation.llava_bench.questions import comparisons, read_bench_questions

    return comparisons(
        read_bench_questions(folder / "questions.jsonl"),
        contexts=folder / "contexts.jsonl",
        references=folder / "references.jsonl",
        candidates=folder / "candidates.jsonl",
    )


def _bench_files(folder: Path) -> None:
    corpus.write_lines(folder / "questions.jsonl", corpus.BENCH_QUESTIONS)
    corpus.write_lines(folder / "contexts.jsonl", corpus.BENCH_CONTEXTS)
    corpus.write_lines(folder / "references.jsonl", corpus.BENCH_ANSWERS)
    corpus.write_lines(folder / "candidates.jsonl", corpus.BENCH_ANSWERS)


def _open_question_files(folder: Path) -> None:
    corpus.write_lines(folder / "open.jsonl", corpus.OPEN_QUESTIONS)
    (folder / "a.png").write_bytes(corpus.picture())


def _open_questions(folder: Path) -> object:
    from llava_core.inference.questions import check_images, read_questions

    questions = read_questions(folder / "open.jsonl")
    check_images(questions)
    return questions


def _answer_file(folder: Path) -> object:
    from llava_core.inference.answer_file import answered
    from llava_core.inference.questions import Question

    return answered(folder / "answers.jsonl", [Question(id="x", text="What?", images=("a.png",))], "k")


def _answer_files(folder: Path) -> None:
    row = {"id": "x", "question": "What?", "images": ["a.png"], "text": "A bus.", "settings": "k"}
    corpus.write_lines(folder / "answers.jsonl", [row, row | {"id": "y"}])


# Scenes, captions, prompts --------------------------------------------------------------------------------


def _coco(folder: Path) -> object:
    from llava_core.instructions.scene_files import read_coco

    scenes = read_coco(folder / "captions.json", folder / "instances.json").scenes
    return [scenes[index] for index in range(len(scenes))]


def _coco_files(folder: Path) -> None:
    corpus.write_json(folder / "captions.json", corpus.CAPTIONS)
    corpus.write_json(folder / "instances.json", corpus.INSTANCES)


def _scene_lines(folder: Path) -> object:
    from llava_core.instructions.scene_files import read_scene_lines

    scenes = read_scene_lines(folder / "scenes.jsonl").scenes
    return [scenes[index] for index in range(len(scenes))]


def _caption_files(folder: Path) -> None:
    corpus.write_lines(folder / "c.jsonl", corpus.CAPTION_LINES)
    corpus.write_json(folder / "c.json", corpus.CAPTION_LINES)
    corpus.write_table(folder / "c.parquet", corpus.CAPTION_LINES)
    lines = ["caption\tid\timage\turl", *(f"A dog.\t{n}\t{n}.jpg\thttp://x" for n in range(3))]
    (folder / "c.tsv").write_text("\n".join(lines) + "\n")
    (folder / "cc3m.tsv").write_text("A dog.\thttp://x\nA cat.\thttp://y\n")


def _captions(folder: Path, *, strict: bool) -> object:
    from llava_core.concepts.captions import Columns, caption_chunks

    bad: list[Exception] = []
    chunks = [
        chunk
        for file in sorted(folder.iterdir())
        for chunk in caption_chunks(file, Columns(), size=2, on_bad=None if strict else bad.append)
    ]
    assert all(caption.strip() for chunk in chunks for caption in chunk.captions)
    return chunks, bad


def _annotated_file(folder: Path) -> None:
    (folder / "annotated.txt").write_text("[a cat] on [the mat]\nno phrase\n[x]\n")


def _annotated(folder: Path) -> object:
    from llava_core.concepts.agreement import read_annotated

    return read_annotated(folder / "annotated.txt")


def _prompts(folder: Path) -> object:
    from llava_core.instructions.kinds import KINDS
    from llava_core.instructions.prompts import fingerprint, load_prompts

    return fingerprint(load_prompts(KINDS.values(), folder))


def _prompt_files(folder: Path) -> None:
    from importlib.resources import as_file, files

    with as_file(files("llava_core.instructions") / "prompts") as shipped:
        shutil.copytree(shipped, folder, dirs_exist_ok=True)


# Stores, journals, models ---------------------------------------------------------------------------------


def _store_files(folder: Path) -> None:
    from llava_core.features.store import Block, write_store

    rows = pd.DataFrame(
        {"example_id": ["a", "b"], "group": ["a", "b"], "split": ["test", "test"], "n_options": [2, 3],
         "answer": [0, 1], "seen_in_training": [False, False]}
    )  # fmt: skip
    blocks = {
        "clip_image": Block(level="example", array=np.ones((2, 4), dtype=np.float16)),
        "option_logprob": Block(level="option", array=np.ones((5, 3), dtype=np.float32)),
    }
    write_store(folder / "store", rows=rows, blocks=blocks, meta={"data_fingerprint": "f", "checkpoints": {}})


def _store(folder: Path) -> object:
    from llava_core.features.store import FeatureStore

    store = FeatureStore.open(folder / "store", data_fingerprint="f")
    assert store.option_offsets.tolist() == [0, 2]
    return store.origin, [float(np.nansum(store.block(name))) for name in store.blocks]


def _rehash_store(folder: Path) -> None:
    from llava_core.data.image_files import hash_file

    file = folder / "store" / "manifest.json"
    manifest = json.loads(file.read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hash_file(folder / "store" / name)
    file.write_text(json.dumps(manifest))


def _model_files(folder: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    from ensembles.persist import save_model

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), np.arange(30) % 2
    save_model(LogisticRegression().fit(X, y), folder / "linear")
    save_model(DecisionTreeClassifier(max_depth=2).fit(X, y), folder / "tree")


def _model(folder: Path) -> object:
    from ensembles.persist import load_model

    return _as_studies_do(folder, lambda: [load_model(folder / name) for name in ("linear", "tree")])


def _as_studies_do(folder: Path, read: Callable[[], object]) -> object:
    """`ensembles` raises ValueError, which `studies` tells as bad input: do the same here."""
    from llava_core.errors import InputError

    try:
        return read()
    except ValueError as error:
        raise InputError(str(error), path=folder) from error


def _rehash_model(folder: Path) -> None:
    from llava_core.data.image_files import hash_file

    for name in ("linear", "tree"):
        file = folder / name / "manifest.json"
        manifest = json.loads(file.read_text()) | {"sha256": hash_file(folder / name / "model.skops")}
        file.write_text(json.dumps(manifest))


def _fold(n: int = 12) -> Any:
    from ensembles.oof import EncodedFold

    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2)).astype(np.float32)
    return EncodedFold(X_train=X[:8], X_held_out=X[8:], train=np.arange(8), held_out=np.arange(8, n))


def _oof(folder: Path, *, write: bool = False) -> object:
    from ensembles.oof_store import OofStore
    from ensembles.registry import find_member

    y = np.arange(12) % 2

    def read() -> object:
        tree = find_member("decision_tree").make({}, seed=0, n_jobs=1)
        found = OofStore(folder / "oof").predict_fold(
            tree, _fold(), y=y, questions=None, groups=np.arange(12)
        )
        assert found.prob.shape[0] == 4
        return found

    return read() if write else _as_studies_do(folder, read)


def _search_files(folder: Path) -> None:
    from ensembles.oof_store import OofStore
    from ensembles.search import Search
    from ensembles.trial import Rows
    from ensembles.workers import save_search

    rows = Rows(y=np.arange(12) % 2, questions=np.arange(12) // 2, groups=np.arange(12) // 4)
    search = Search(
        member="decision_tree", rows=rows, folds=[_fold()], n_trials=2, seed=0, storage=folder / "j.journal",
        study_name="s", store=OofStore(folder / "oof"),
    )  # fmt: skip
    save_search(search, folder / "search")


def _search(folder: Path) -> object:
    from ensembles.workers import load_search

    (file,) = [file for file in (folder / "search").iterdir() if file.suffix == ".json"] or [
        folder / "search/x.json"
    ]
    return _as_studies_do(folder, lambda: load_search(file).kind)


def _journal_files(folder: Path) -> None:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(folder / "a.journal")))
    study = optuna.create_study(study_name="s", storage=storage, direction="minimize")
    for number in range(3):
        trial = study.ask()
        x = trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 1, 9, log=True)
        trial.report(x, 0)
        trial.set_user_attr("fit_s", 0.1)
        study.tell(trial, x) if number else study.tell(trial, state=optuna.trial.TrialState.FAIL)


def _journal(folder: Path) -> object:
    from studies.report.optuna_page import studies_of
    from studies.report.optuna_view import study_view

    return [study_view(one) for one in studies_of(folder / "a.journal")]


# Run folders ----------------------------------------------------------------------------------------------


def _run_files(folder: Path) -> None:
    from llava_core.data.example import Example
    from studies.catalog.questions import write_questions
    from studies.predictions import build_predictions, write_predictions
    from studies.spec.base import resolve, to_json
    from studies.spec.ensemble import EnsembleSpec

    for name in ("one", "two"):
        run = folder / name
        ids = [f"q{n}" for n in range(6)]
        tables = [
            build_predictions(
                method,
                example_ids=np.repeat(ids, 2),
                option_index=[0, 1] * 6,
                y=[1, 0] * 6,
                prob=[0.8, 0.2] * 6,
            )
            for method in ("xgboost", "stacking")
        ]
        run.mkdir()
        write_predictions(pd.concat(tables, ignore_index=True), run / "predictions.parquet")
        write_questions(
            [
                Example(id=id_, question="?", options=("a", "b"), answer=0, split=None, group=id_)
                for id_ in ids
            ],
            run / "questions.parquet",
        )
        accuracy = {"value": 0.5, "low": 0.4, "high": 0.6, "level": 0.95, "n": 6}
        methods = [
            {"name": m, "label": m, "kind": "ladder", "status": "ok", "accuracy": accuracy, "log_loss": None}
            for m in ("xgboost", "stacking")
        ]
        summary = {
            "schema_version": 1, "study": "ensemble_vs_llm", "title": "t", "verdict": {"sentence": "It ran."},
            "data": {"name": "d", "fingerprint": "aa", "n_questions": 6, "n_families": 6,
            "evaluated_on": "test"},
            "methods": methods, "choice": {"method": "stacking"}, "provenance": {"seed": len(name)},
        }  # fmt: skip
        corpus.write_json(run / "summary.json", summary)
        (run / "spec.json").write_text(to_json(resolve(EnsembleSpec, "ensemble_vs_llm", seed=len(name))))


def _compared_runs(folder: Path) -> object:
    from studies.catalog.compare import compare_runs, read_runs

    return compare_runs(read_runs([folder / "one", folder / "two"]), n_boot=10)


def _spec_files(folder: Path) -> None:
    from studies.spec.base import resolve, to_json
    from studies.spec.ensemble import EnsembleSpec

    spec = resolve(EnsembleSpec, "ensemble_vs_llm", data=Path("d"), llm_answers=(Path("a.json"),))
    (folder / "spec.json").write_text(to_json(spec))
    corpus.write_json(
        folder / "steps" / "data.json",
        {
            "name": "data",
            "key": "k",
            "state": "done",
            "inputs": {},
            "outputs": [],
            "seconds": 1.5,
            "facts": {"n": 1},
        },
    )
    corpus.write_json(folder / "optuna" / "xgboost.compared.json", {"n_questions": 3, "trial": 0})
    corpus.write_json(
        folder / "manifest.json", {"schema_version": 1, "files": {"spec.json": {"bytes": 1, "sha256": "x"}}}
    )


def _continued_run(folder: Path) -> object:
    """Open a run to go on with it: its specification, one step, its manifest and a comparison."""
    from studies.catalog.compared import read_comparison
    from studies.rundir import digest, open_run
    from studies.spec.base import differences, resolve, to_json
    from studies.spec.ensemble import EnsembleSpec

    spec = resolve(EnsembleSpec, "ensemble_vs_llm", data=Path("d"), llm_answers=(Path("a.json"),))
    with open_run(
        folder,
        spec=to_json(spec),
        resume=True,
        differ=lambda text: differences(spec, text, path=folder / "spec.json"),
    ) as run:
        assert digest({}) != "k"
        facts = run.step("data", inputs={"a": 1}, outputs=[], do=lambda: {"n": 1})
        assert facts == {"n": 1}
        return run.finished, run.is_done("data"), run.seconds_by_kind(), read_comparison(folder, "xgboost")


def _method_files(folder: Path) -> None:
    from sklearn.tree import DecisionTreeClassifier

    from studies.catalog.saved import Needs, save_method

    tree = DecisionTreeClassifier(max_depth=1).fit([[0.0], [1.0]], [0, 1])
    save_method(folder / "models" / "tree", tree, Needs(columns=None, answers=("a",)))


def _method(folder: Path) -> object:
    from studies.catalog.saved import read_method

    return read_method(folder, "tree")


# Settings -------------------------------------------------------------------------------------------------


def _settings_files(folder: Path) -> None:
    (folder / "settings.txt").write_text(
        "folds=3\nlevel=0.9\ncurve_trees=1,2,3\nablation=false\ntune_timeout_s=none\nmemory=family\njobs=1\nn_boot=10\nstorage=journal"
    )


def _settings(folder: Path) -> object:
    """Give the lines of a text as ``--set``."""
    from studies.spec.base import differences, resolve, to_json
    from studies.spec.ensemble import EnsembleSpec

    lines = (folder / "settings.txt").read_bytes().decode("utf-8", "surrogateescape").split("\n")
    spec = resolve(EnsembleSpec, "ensemble_vs_llm", settings=[line for line in lines if line])
    assert differences(spec, to_json(spec), path=folder) == []
    return spec


def _stage_settings_files(folder: Path) -> None:
    """Write every setting of a training with the value that it has."""
    from llava_core.recipes import mini_cpu
    from llava_core.settings import setting_names

    config = mini_cpu().align

    def written(name: str) -> str:
        value = reduce(lambda held, part: getattr(held, part, None), name.split("."), config)
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()

    names = [name for name in setting_names(type(config)) if "lora." not in name]  # a part that is off
    lines = [f"{name}={written(name)}" for name in names]
    (folder / "settings.txt").write_text("\n".join(lines))


def _stage_settings(folder: Path) -> object:
    from llava_core.recipes import mini_cpu
    from llava_core.settings import with_settings

    lines = (folder / "settings.txt").read_bytes().decode("utf-8", "surrogateescape").split("\n")
    return with_settings(mini_cpu().align, [line for line in lines if line])


# Checkpoints ----------------------------------------------------------------------------------------------


def _tiny_bundle() -> Any:
    from llava_core.data.example import Example
    from llava_core.train.pretrain import TinySizes, tiny_bundle, tiny_tokenizer

    examples = [
        Example(
            id=str(n),
            question=f"What is {n}?",
            options=("yes", "no"),
            answer=0,
            split="train_llm",
            group=str(n),
        )
        for n in range(4)
    ]
    sizes = TinySizes(
        vocab_size=290, image_size=16, dim_vision=8, n_vision_layers=2, vision_mlp=8, dim_text=8,
        n_text_layers=1,
        text_mlp=8, dim_llm=8, n_llm_layers=1, llm_mlp=8, n_heads=2,
    )  # fmt: skip
    return tiny_bundle(sizes, tiny_tokenizer(examples, [], vocab_size=290), seed=0)


def _checkpoint_files(folder: Path) -> None:
    from llava_core.checkpoint.folder import save_checkpoint

    save_checkpoint(_tiny_bundle(), folder / "ours", stage="align", seen_ids=["a", "b"])


def _checkpoint(folder: Path) -> object:
    from llava_core.checkpoint.load import checkpoint_hash, load_checkpoint, read_seen_ids, says_what_it_saw

    place = folder / "ours"
    bundle = load_checkpoint(place)
    return bundle, checkpoint_hash(place), read_seen_ids(place), says_what_it_saw(place)


def _rehash_checkpoint(folder: Path) -> None:
    from llava_core.checkpoint.folder import describe_file

    file = folder / "ours" / "manifest.json"
    manifest = json.loads(file.read_text())
    for name in manifest["files"]:
        manifest["files"][name] = describe_file(folder / "ours" / name)
    file.write_text(json.dumps(manifest))


def _stock_files(folder: Path) -> None:
    _checkpoint_files(folder)
    for name in ("llava_core.json", "manifest.json", "seen_ids.json", "training.json", "clip.safetensors"):
        (folder / "ours" / name).unlink(missing_ok=True)


def _stock(folder: Path) -> object:
    from llava_core.checkpoint.load import checkpoint_hash, load_checkpoint

    return load_checkpoint(folder / "ours"), checkpoint_hash(folder / "ours")


def _projector_file(folder: Path) -> None:
    import torch

    weights = {"model.mm_projector.weight": torch.ones(4, 4), "model.mm_projector.bias": torch.ones(4)}
    torch.save(weights, folder / "mm_projector.bin")


def _projector(folder: Path) -> object:
    from llava_core.checkpoint.original import projector_file_kind

    return projector_file_kind(folder / "mm_projector.bin")


def _training_state(folder: Path, *, write: bool = False) -> object:
    import torch

    from llava_core.train.loop import Trace
    from llava_core.train.processes import Place
    from llava_core.train.state import load_state, save_state

    here = Place(rank=0, world=1, device=torch.device("cpu"))
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    if write:
        trace = Trace(loss=((1, 0.5),), n_steps=1, open_loss=(0.4,))
        save_state(folder / "states", model, optimizer, trace, inputs="k", keep=1, here=here)
        return None
    return load_state(folder / "states", model, optimizer, inputs="k")


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader(name="problems.json", corpus=corpus.scienceqa, read=partial(_dataset, ".")),
        Reader(name="ScienceQA parquet", corpus=corpus.hf_parquet, read=partial(_dataset, "."), share=0.5),
        Reader(name="ScienceQA records", corpus=corpus.llava_records, read=partial(_dataset, "chat.json")),
        Reader(name="own questions, lines", corpus=corpus.own_lines, read=partial(_dataset, "own.jsonl")),
        Reader(name="own questions, parquet", corpus=corpus.own_parquet, read=partial(_dataset,
        "own.parquet")),
        Reader(
            name="option rows, lines",
            corpus=lambda folder: corpus.write_lines(folder / "rows.jsonl", corpus.option_rows()),
            read=partial(_dataset, "rows.jsonl"),
        ),
        Reader(
            name="option rows, parquet",
            corpus=lambda folder: corpus.write_table(folder / "rows.parquet", corpus.option_rows()),
            read=partial(_dataset, "rows.parquet"),
        ),
        Reader(name="conversations", corpus=corpus.conversations, read=_load_conversations),
        Reader(name="pictures", corpus=_all_pictures, read=_read_pictures),
        Reader(name="pictures checked first", corpus=_all_pictures, read=_check_pictures),
        Reader(name="data address", corpus=_one_address, read=_data_address, names_file=False,
        faults_of_files=False),
        *(
            Reader(
                name=f"answers, {what}", corpus=partial(_answers_corpus, file, content),
                read=partial(_answers, file)
            )
            for what, file, content in (
                ("result file", "m.json", corpus.RESULT_FILE),
                ("free-form list", "m.json", corpus.RESPONSES),
                ("our lines", "m.jsonl", corpus.ANSWER_LINES),
                ("published lines", "m.jsonl", corpus.PUBLISHED_LINES),
            )
        ),
        Reader(
            name="reviews",
            corpus=lambda folder: corpus.write_lines(folder / "reviews.jsonl", corpus.REVIEWS),
            read=_reviews,
        ),
        Reader(
            name="reviews to go on with",
            corpus=lambda folder: corpus.write_lines(folder / "ours.jsonl", corpus.OUR_REVIEWS),
            read=_our_reviews,
        ),
        Reader(name="LLaVA-Bench files", corpus=_bench_files, read=_bench),
        Reader(name="open questions", corpus=_open_question_files, read=_open_questions),
        Reader(name="answers to go on with", corpus=_answer_files, read=_answer_file),
        Reader(name="COCO annotations", corpus=_coco_files, read=_coco),
        Reader(
            name="scene lines",
            corpus=lambda folder: corpus.write_lines(folder / "scenes.jsonl", corpus.SCENES),
            read=_scene_lines,
        ),
        Reader(name="captions, strict", corpus=_caption_files, read=partial(_captions, strict=True)),
        Reader(name="captions, bad ones counted", corpus=_caption_files, read=partial(_captions,
        strict=False)),
        Reader(
            name="annotated captions",
            corpus=_annotated_file,
            read=_annotated,
        ),
        Reader(name="prompts", corpus=_prompt_files, read=_prompts),
        Reader(name="feature store", corpus=_store_files, read=_store, mended=_rehash_store),
        Reader(name="Optuna journal", corpus=_journal_files, read=_journal, share=0.5),
        Reader(name="saved model", corpus=_model_files, read=_model, mended=_rehash_model, share=0.5),
        Reader(name="saved method", corpus=_method_files, read=_method, share=0.5),
        Reader(
            name="out-of-fold predictions", corpus=lambda folder: _oof(folder, write=True), read=_oof,
            files=("*.npz",)
        ),
        Reader(name="shared search", corpus=_search_files, read=_search),
        Reader(name="runs to compare", corpus=_run_files, read=_compared_runs, share=0.25),
        Reader(name="run to go on with", corpus=_spec_files, read=_continued_run),
        Reader(name="settings of a study", corpus=_settings_files, read=_settings, names_file=False,
        faults_of_files=False),
        Reader(
            name="settings of a training", corpus=_stage_settings_files, read=_stage_settings,
            names_file=False,
            faults_of_files=False,
        ),
        Reader(
            name="checkpoint of ours", corpus=_checkpoint_files, read=_checkpoint,
            mended=_rehash_checkpoint, share=0.1
        ),
        Reader(name="checkpoint of Hugging Face", corpus=_stock_files, read=_stock, share=0.1),
        Reader(name="projector of stage 1", corpus=_projector_file, read=_projector),
        Reader(
            name="state of a training", corpus=lambda folder: _training_state(folder, write=True),
            read=_training_state,
        ),
    )
}  # fmt: skip
