"""Flickr8k and Flickr30k: photographs, with five captions for each photograph."""

from __future__ import annotations

import os
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from ._listed_images import Loader
from ._published_files import lines_of
from .folder import default_loader
from .vision import Transform, VisionDataset


class _Flickr(VisionDataset):
    root: str | Path
    annotations: dict[str, list[str]]

    def __init__(
        self,
        root: str | Path,
        ann_file: str | Path,
        transform: Transform = None,
        target_transform: Transform = None,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.ann_file = os.path.expanduser(ann_file)
        self.loader = loader
        self.annotations = self._read()
        self.ids = sorted(self.annotations)

    def _read(self) -> dict[str, list[str]]:
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        name = self.ids[index]
        return self._transformed(self.loader(Path(self.root) / name), self.annotations[name])

    def __len__(self) -> int:
        return len(self.ids)


class Flickr30k(_Flickr):
    """31,783 photographs. A target is the list of captions of the photograph.

    Args:
        root: the folder of the images.
        ann_file: the file of the captions. Each line contains ``image.jpg#0``, a tab and a caption.
        transform, target_transform: functions applied to each image and to each target.
        loader: function that loads an image from its path.
    Raises: OSError if the file is missing.

    Source: Young et al. 2014, From image descriptions to visual denotations.

    >>> image, sentences = Flickr30k("data/flickr", "data/flickr/sentences.token")[0]
    >>> sentences
    ['A man .', 'A dog .']
    """

    def _read(self) -> dict[str, list[str]]:
        sentences = defaultdict(list)
        for line in lines_of(self.ann_file):
            name, _, sentence = line.partition("\t")
            sentences[name.rpartition("#")[0]].append(sentence)
        return dict(sentences)


class Flickr8k(_Flickr):
    """8,092 photographs, like :class:`Flickr30k`, except that ``ann_file`` is the published HTML page.

    Source: Hodosh, Young, Hockenmaier 2013, Framing Image Description as a Ranking Task.

    >>> image, sentences = Flickr8k("data/flickr", "data/flickr/page.html")[0]
    >>> sentences
    ['A man .', 'A dog .']
    """

    def _read(self) -> dict[str, list[str]]:
        page = _Page(self.root)
        page.feed(Path(self.ann_file).read_text(encoding="utf-8"))
        return page.annotations


class _Page(HTMLParser):
    """Parser of the HTML page: a table with a link and a list of captions for each image.

    The file name of an image begins with the name of the last folder in the link.
    """

    def __init__(self, root: str | Path) -> None:
        super().__init__()
        self.root = Path(root)
        self.annotations: dict[str, list[str]] = {}
        self._in_table, self._tag = False, ""
        self._sentences: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._tag = tag
        self._in_table |= tag == "table"

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""
        self._in_table &= tag != "table"

    def handle_data(self, data: str) -> None:
        if not self._in_table:
            return
        if data == "Image Not Found":
            self._sentences = None
        elif self._tag == "a":
            path = next(self.root.glob(f"{data.split('/')[-2]}_*.jpg"))
            self._sentences = self.annotations[path.name] = []
        elif self._tag == "li" and self._sentences is not None:
            self._sentences.append(data.strip())
