"""Words for the rendered text pages, written for tokbench and free to use (CC0-1.0).

Common everyday words per script (ISO 15924 codes). Chinese, Japanese and Korean entries are words or short
phrases that are drawn as one unit, since the first two do not put blanks between words.
"""

from __future__ import annotations

_TEXT: dict[str, str] = {
    "Latn": (
        "the quick river bends around an old stone mill while heavy clouds gather over quiet fields "
        "Every morning bakers carry warm bread to market Zürich Łódź garçon naïve façade über Straße "
        "señor mañana København Málaga příliš žluťoučký kůň été hiver Gjøvik São Paulo Invoice Total "
        "Street Number Open Closed Platform Exit Ticket Price Weight Volume Model Serial Warning "
        "Fragile Keep Dry This Side Up jump vex lazy wizard foxes quartz judge my vow pack five "
        "dozen liquor jugs illicit Illinois"
    ),
    "Grek": (
        "η θάλασσα είναι ήρεμη σήμερα το πρωί και ο ήλιος λάμπει πάνω από την πόλη Αθήνα Θεσσαλονίκη "
        "δρόμος νερό ψωμί γάλα βιβλίο σχολείο παράθυρο ξύλο φωτιά χρόνος ώρα μέρα νύχτα Έξοδος "
        "Είσοδος Προσοχή"
    ),
    "Cyrl": (
        "сегодня утром над рекой стоял густой туман и город медленно просыпался Москва Київ София "
        "Београд дорога хлеб молоко книга школа окно дерево огонь время день ночь Вход Выход "
        "Внимание щука ёж їжак вулиця џеп љубав њива съезд объём"
    ),
    "Deva": (
        "आज सुबह नदी पर घना कोहरा था और शहर धीरे धीरे जाग रहा पानी रोटी दूध किताब विद्यालय खिड़की "
        "पेड़ आग समय दिन रात प्रवेश निकास सावधान मूल्य संख्या भारत दिल्ली स्टेशन क्षेत्र ज्ञान श्रम "
        "हृदय"
    ),
    "Hans": (
        "今天 早上 河边 起了 大雾 城市 慢慢 醒来 清水 面包 牛奶 图书馆 学校 窗户 树木 火车站 时间 "
        "白天 夜晚 入口 出口 小心 价格 号码 北京 上海 天气 朋友 学习 语言 电话 地址 说明书 请勿触摸"
    ),
    "Jpan": (
        "今朝は 川に 深い霧が 出ていた 町は ゆっくり 目を覚ます 水 パン 牛乳 図書館 学校 窓 樹木 "
        "時間 昼 夜 入口 出口 注意 値段 番号 東京 大阪 ありがとう カメラ テレビ コーヒー ください "
        "電車 春夏秋冬"
    ),
    "Kore": (
        "오늘 아침 강가에 짙은 안개가 끼었다 도시는 천천히 깨어난다 물 빵 우유 도서관 학교 창문 나무 "
        "불 시간 낮 밤 입구 출구 주의 가격 번호 서울 부산 감사합니다 커피 전화 주소 설명서 봄여름 "
        "가을겨울"
    ),
}


def words_of(script: str) -> list[str]:
    """The words of one script, each once, in the order they were written down."""
    return list(dict.fromkeys(_TEXT[script].split()))


SCRIPTS = tuple(_TEXT)
