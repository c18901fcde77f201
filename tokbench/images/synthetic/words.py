"""Words and numbers for generated text pages, written for tokbench and free to use (CC0-1.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

SCRIPTS: dict[str, tuple[str, str]] = {
    "latin": (
        "Latn",
        "harbour market window garden silver bridge candle orchard winter morning letter kitchen Platform Ticket Total "
        "Invoice Street Number Exit Open Closed Price Weight Model Serial Fragile paper engine forest yellow quick "
        "jumping zebra lazy wizard boxing quartz vapour glyph museum island pocket ribbon tunnel velvet walnut "
        "Volume Station Summer Doctor Kettle Monday Friday puzzle rhythm shadow thunder uncle village whistle",
    ),
    "cyrillic": (
        "Cyrl",
        "утро река город дорога хлеб молоко книга школа окно дерево огонь время письмо рынок остров музей билет цена "
        "номер вход выход улица зима лето яблоко сахар мост поезд",
    ),
    "greek": (
        "Grek",
        "θάλασσα πρωί ήλιος πόλη δρόμος νερό ψωμί γάλα βιβλίο σχολείο παράθυρο ξύλο φωτιά χρόνος ημέρα νύχτα έξοδος "
        "είσοδος αγορά γέφυρα νησί μουσείο τιμή",
    ),
    "chinese": (
        "Hans",
        "早上 城市 清水 面包 牛奶 图书馆 学校 窗户 树木 火车站 时间 白天 夜晚 入口 出口 小心 价格 号码 天气 朋友 "
        "学习 语言 电话 地址 博物馆 市场 桥梁",
    ),
    "japanese": (
        "Jpan",
        "今朝 水 パン 牛乳 図書館 学校 窓 樹木 時間 昼 夜 入口 出口 注意 値段 番号 カメラ テレビ コーヒー 電車 "
        "市場 博物館 手紙 ありがとう",
    ),
    "korean": (
        "Kore",
        "아침 도시 빵 우유 도서관 학교 창문 나무 불 시간 낮 밤 입구 출구 주의 가격 번호 커피 전화 주소 설명서 시장 "
        "박물관 편지",
    ),
}
"""Script by name: its ISO 15924 code and its words. All Latin words are ASCII, which every Latin font draws."""


def draw_word(script: str, source: random.Random) -> str:
    """Draw a word of a script, or in one case of six a price, a time or a number."""
    if source.random() < 1 / 6:
        kind = source.randrange(3)
        if kind == 0:
            return f"{source.randrange(1, 999)}.{source.randrange(100):02d}"
        if kind == 1:
            return f"{source.randrange(24):02d}:{source.randrange(60):02d}"
        return str(source.randrange(100, 99999))
    return source.choice(SCRIPTS[script][1].split())
