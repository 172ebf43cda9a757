"""A `Template` as the Jinja text that stock processors and servers put conversations together with.

Messages are those of transformers: a role and a text, or a list of parts of type text and image. Images come
before the words of their message. Left out: what only training knows, such as the closing ``###`` of v0.
"""

import json

from transformers import PreTrainedTokenizerFast

from llava_core.data.conversation import IMAGE_TOKEN
from llava_core.data.template import Template


def chat_template(template: Template, tokenizer: PreTrainedTokenizerFast) -> str:
    """Return the Jinja text with which stock transformers says what `encode` says of images shown first."""
    start = tokenizer.bos_token or ""
    stop = tokenizer.eos_token if template.stop_token else ""
    quoted = json.dumps
    first = template.human_prefix if template.first_human_prefix is None else template.first_human_prefix
    again = (start if template.start_each_round else "") + template.human_prefix
    image = IMAGE_TOKEN + template.image_separator
    words = "{% if message.content is string %}{{ message.content }}{% else %}%s{% endif %}"
    parts = (
        "{% for part in message.content if part.type == 'image' %}{{ " + quoted(image) + " }}{% endfor %}"
        "{% for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %}"
    )
    said = words.replace("%s", parts)
    return (
        "{{ " + quoted(start + template.system) + " }}"
        "{% for message in messages if message.role != 'system' %}"
        "{% if message.role == 'user' %}"
        "{{ " + quoted(first) + " if loop.first else " + quoted(again) + " }}"
        + (said if template.human_text else "")
        + "{{ " + quoted(template.human_suffix) + " }}"
        "{% else %}"
        "{{ " + quoted(template.assistant_prefix + template.answer_prefix) + " }}"
        + said
        + "{{ " + quoted(template.answer_suffix + (stop or "")) + " }}"
        "{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ " + quoted(template.assistant_prefix) + " }}{% endif %}"
    )  # fmt: skip
