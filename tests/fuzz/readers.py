"""Every reader of the toolkit with valid files for it: READERS, by name.

A reader is called through its public function, and what it gives is used to the end: images are decoded,
blocks and tensors touched, every conversation read again from its place.
"""

from functools import partial

from tests.fuzz import corpus, read_data, read_models, read_runs, read_texts
from tests.fuzz.cases import Reader

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader(name="problems.json", corpus=corpus.scienceqa, read=partial(read_data.dataset, ".")),
        Reader(
            name="ScienceQA parquet",
            corpus=corpus.hf_parquet,
            read=partial(read_data.dataset, "."),
            share=0.5,
        ),
        Reader(
            name="ScienceQA records",
            corpus=corpus.llava_records,
            read=partial(read_data.dataset, "chat.json"),
        ),
        Reader(
            name="own questions, lines", corpus=corpus.own_lines, read=partial(read_data.dataset, "own.jsonl")
        ),
        Reader(
            name="own questions, parquet",
            corpus=corpus.own_parquet,
            read=partial(read_data.dataset, "own.parquet"),
        ),
        Reader(
            name="option rows, lines",
            corpus=lambda folder: corpus.write_lines(folder / "rows.jsonl", corpus.option_rows()),
            read=partial(read_data.dataset, "rows.jsonl"),
        ),
        Reader(
            name="option rows, parquet",
            corpus=lambda folder: corpus.write_table(folder / "rows.parquet", corpus.option_rows()),
            read=partial(read_data.dataset, "rows.parquet"),
        ),
        Reader(name="conversations", corpus=corpus.conversations, read=read_data.load_conversations),
        Reader(name="pictures", corpus=read_data.all_pictures, read=read_data.read_pictures),
        Reader(name="pictures checked first", corpus=read_data.all_pictures, read=read_data.check_pictures),
        Reader(
            name="data address",
            corpus=read_data.one_address,
            read=read_data.data_address,
            names_file=False,
            faults_of_files=False,
        ),
        *(
            Reader(
                name=f"answers, {what}",
                corpus=partial(read_texts.answers_corpus, file, content),
                read=partial(read_texts.answers, file),
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
            read=read_texts.reviews,
        ),
        Reader(
            name="reviews to go on with",
            corpus=lambda folder: corpus.write_lines(folder / "ours.jsonl", corpus.OUR_REVIEWS),
            read=read_texts.our_reviews,
        ),
        Reader(name="LLaVA-Bench files", corpus=read_texts.bench_files, read=read_texts.bench),
        Reader(name="open questions", corpus=read_texts.open_question_files, read=read_texts.open_questions),
        Reader(name="answers to go on with", corpus=read_texts.answer_files, read=read_texts.answer_file),
        Reader(name="COCO annotations", corpus=read_texts.coco_files, read=read_texts.coco),
        Reader(
            name="scene lines",
            corpus=lambda folder: corpus.write_lines(folder / "scenes.jsonl", corpus.SCENES),
            read=read_texts.scene_lines,
        ),
        Reader(
            name="captions, strict",
            corpus=read_texts.caption_files,
            read=partial(read_texts.captions, strict=True),
        ),
        Reader(
            name="captions, bad ones counted",
            corpus=read_texts.caption_files,
            read=partial(read_texts.captions, strict=False),
        ),
        Reader(
            name="annotated captions",
            corpus=read_texts.annotated_file,
            read=read_texts.annotated,
        ),
        Reader(name="prompts", corpus=read_texts.prompt_files, read=read_texts.prompts),
        Reader(
            name="feature store",
            corpus=read_runs.store_files,
            read=read_runs.store,
            mended=read_runs.rehash_store,
        ),
        Reader(name="Optuna journal", corpus=read_runs.journal_files, read=read_runs.journal, share=0.5),
        Reader(
            name="saved model",
            corpus=read_runs.model_files,
            read=read_runs.model,
            mended=read_runs.rehash_model,
            share=0.5,
        ),
        Reader(name="saved method", corpus=read_runs.method_files, read=read_runs.method, share=0.5),
        Reader(
            name="out-of-fold predictions",
            corpus=lambda folder: read_runs.oof(folder, write=True),
            read=read_runs.oof,
            files=("*.npz",),
        ),
        Reader(name="shared search", corpus=read_runs.search_files, read=read_runs.search),
        Reader(
            name="runs to compare",
            corpus=read_runs.run_files,
            read=read_runs.compared_runs,
            mended=read_runs.rehash_runs,
            share=0.25,
        ),
        Reader(name="run to go on with", corpus=read_runs.spec_files, read=read_runs.continued_run),
        Reader(
            name="settings of a study",
            corpus=read_runs.settings_files,
            read=read_runs.settings,
            names_file=False,
            faults_of_files=False,
        ),
        Reader(
            name="settings of a training",
            corpus=read_runs.stage_settings_files,
            read=read_runs.stage_settings,
            names_file=False,
            faults_of_files=False,
        ),
        Reader(
            name="checkpoint of ours",
            corpus=read_models.checkpoint_files,
            read=read_models.checkpoint,
            mended=read_models.rehash_checkpoint,
            share=0.1,
        ),
        Reader(
            name="checkpoint of Hugging Face",
            corpus=read_models.stock_files,
            read=read_models.stock,
            share=0.1,
        ),
        Reader(name="projector of stage 1", corpus=read_models.projector_file, read=read_models.projector),
        Reader(
            name="state of a training",
            corpus=lambda folder: read_models.training_state(folder, write=True),
            read=read_models.training_state,
        ),
    )
}
