"""What the people of the demo have talked about: plain values, written for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exchange:
    """What somebody said, what was replied, and how the reply ended."""

    said: str
    reply: str
    status: str = "complete"
    #: The reply that was there before the person asked for another one.
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation with a character, begun so many days ago."""

    character: str
    title: str
    days_ago: float
    exchanges: tuple[Exchange, ...]
    is_pinned: bool = False
    #: The last reply came when the person had gone.
    is_unread: bool = False


WELCOME_NOTE = Dialogue(
    "assistant",
    "A note for new people",
    13.2,
    (
        Exchange(
            "Write three friendly sentences that welcome somebody to our Tertulia.",
            "Welcome! Pick a character, say what is on your mind, and stay as long as "
            "you like. Everything you say is kept, so you can leave in the middle of a "
            "sentence and come back to it tomorrow.",
            instead_of="Dear user, you have been granted access to the platform. "
            "Consult the documentation before use. Misuse is logged.",
        ),
        Exchange(
            "The second one is much better. Shorter?",
            "Welcome! Pick a character, say what is on your mind, stay as long as you "
            "like. You can always come back to it tomorrow.",
        ),
    ),
)

WEEKLY_REVIEW = Dialogue(
    "assistant",
    "Agenda for the weekly review",
    6.1,
    (
        Exchange(
            "I have 30 minutes with four people on Monday. Suggest an agenda.",
            "| Minutes | What | Who |\n|---|---|---|\n"
            "| 0–5 | What went well | everyone |\n"
            "| 5–20 | Two open questions, ten minutes each | who brought them |\n"
            "| 20–27 | Decisions and owners | you |\n"
            "| 27–30 | What to drop this week | everyone |\n\n"
            "Ask for the two questions by Friday; a meeting that has to find its topic "
            "first is over before it begins.",
        ),
    ),
)

TURNOS = Dialogue(
    "assistant",
    "Reparto de turnos de mayo",
    4.4,
    (
        Exchange(
            "Somos cinco y hay que cubrir siete días de 9 a 21. ¿Cómo lo reparto?",
            "Con dos turnos de seis horas al día son **14 turnos por semana**: cuatro "
            "personas hacen tres y la quinta dos, y ese puesto rota cada semana.\n\n"
            "1. Fija primero los dos días libres seguidos de cada persona.\n"
            "2. Reparte después los cierres, que es lo que más se discute.\n"
            "3. Deja el sábado para el final y compénsalo con la mañana del lunes.",
        ),
        Exchange(
            "¿Y si alguien se pone enfermo?",
            "Nombra cada semana a una persona de reserva que no tenga dos turnos "
            "seguidos. Si no la llaman, suma media jornada libre al",
            status="interrupted",
        ),
    ),
)

BREAD = Dialogue(
    "assistant",
    "Bread without kneading",
    11.3,
    (
        Exchange(
            "I want to bake bread tomorrow and have no mixer. What do I need tonight?",
            "Only a bowl and patience.\n\n- 430 g bread flour\n- 345 g water\n"
            "- 8 g salt\n- 1 g dry yeast, about a quarter of a teaspoon\n\n"
            "Stir until no dry flour is left, cover it, and leave it for **12 to 18 "
            "hours**. Tomorrow you fold it twice, let it rise for an hour and bake it "
            "in a hot, covered pot: 30 minutes with the lid, 15 without.",
            instead_of="Tonight you need flour, water, salt and yeast.",
        ),
        Exchange(
            "It is 26 degrees in my kitchen. Still 12 hours?",
            "No: at 26 °C look after 8 or 9. It is ready when it has doubled and the "
            "top is full of small bubbles. If you sleep longer than that, use half the "
            "yeast.",
        ),
        Exchange("It worked!! Best crust I ever made.", "That sound when it cools? ♪"),
    ),
    is_pinned=True,
)

CODE = Dialogue(
    "assistant",
    "Renaming a thousand photos",
    2.2,
    (
        Exchange(
            "Write a Python script that renames photos by the date they were taken.",
            "This reads the date from the picture and leaves everything else alone:\n\n"
            "```python\nfrom pathlib import Path\nfrom PIL import Image\n\n"
            'for path in Path("photos").glob("*.jpg"):\n'
            "    taken = Image.open(path).getexif().get(306)\n"
            "    if taken:\n"
            '        name = taken.replace(":", "-").replace(" ", "_")\n'
            '        path.rename(path.with_name(f"{name}.jpg"))\n```\n\n'
            "Two photos of the same second would collide. To be safe you could add a "
            "counter to the name, or",
            status="stopped",
        ),
    ),
)

JUKEBOX = Dialogue(
    "luna",
    "The jukebox on Almond Street",
    1.1,
    (
        Exchange(
            "What are you working on tonight?",
            "A 1958 Seeburg that swallows coins and plays nothing but B-sides. *I wipe "
            "my hands on my overalls.* I am half convinced it has better taste than "
            "its owner.",
        ),
        Exchange(
            "Which B-side would you play for me?",
            "Something slow that pretends to be cheerful. You seem like someone who "
            "hums when nobody listens. Am I wrong?",
        ),
        Exchange(
            "You are not wrong. What do I get if I guess the song?",
            "The stool next to mine and the right to choose the next one. But you have "
            "one guess, and I have never lost this bet.",
        ),
    ),
    is_unread=True,
)

HOMEWORK = Dialogue(
    "assistant",
    "La fotosíntesis para el examen",
    8.5,
    (
        Exchange(
            "Explícame la fotosíntesis en cinco frases, tengo examen el jueves.",
            "Las plantas fabrican su alimento con luz, agua y dióxido de carbono. La "
            "clorofila, en los cloroplastos, captura la energía de la luz. Con ella "
            "rompen moléculas de agua y sueltan el oxígeno que respiramos. Después, en "
            "el **ciclo de Calvin**, unen el carbono del aire para formar azúcares. "
            "Esa glucosa les sirve para crecer y para guardar energía.",
        ),
        Exchange(
            "Hazme tres preguntas tipo test.",
            "1. ¿Dónde ocurre? a) mitocondria · b) cloroplasto · c) núcleo\n"
            "2. ¿Qué gas se libera? a) oxígeno · b) nitrógeno · c) dióxido de carbono\n"
            "3. ¿De dónde sale el carbono del azúcar? a) del suelo · b) del agua · "
            "c) del aire\n\nDime tus respuestas y las revisamos.",
        ),
        Exchange("b, a, c", "¡Tres de tres! El jueves irás tranquilo."),
    ),
)

STUDY_PLAN = Dialogue(
    "assistant",
    "Plan de estudio de la semana",
    0.6,
    (
        Exchange(
            "Tengo mates, historia y lengua. ¿Cómo organizo las tardes?",
            "Te propongo bloques de 40 minutos con 10 de descanso:\n\n"
            "- **Lunes**: mates, mates, lengua\n- **Martes**: historia, mates\n"
            "- **Miércoles**: lengua, historia y un repaso de",
            status="interrupted",
        ),
    ),
)

POEM = Dialogue(
    "vera",
    "Un verso para mi abuela",
    9.4,
    (
        Exchange(
            "Mañana mi abuela cumple noventa años. Quiero leerle algo.",
            "*Dejo la pluma sobre la mesa.* Cuéntame una cosa pequeña de ella: no lo "
            "que hizo en la vida, sino lo que hace con las manos cuando piensa.",
        ),
        Exchange(
            "Dobla la servilleta en triángulos mientras escucha.",
            "> Doblas la tarde en triángulos de hilo,  \n"
            "> y en cada pliegue cabe quien te habla.  \n"
            "> Noventa veces vino el mes de abril  \n"
            "> a sentarse, callado, en tu ventana.",
            instead_of="> Felices noventa, abuela mía,  \n> que cumplas muchos más.",
        ),
        Exchange("Voy a llorar leyéndolo.", "Entonces léelo despacio. Ella esperará."),
    ),
    is_pinned=True,
)

JOURNEY = Dialogue(
    "assistant",
    "Cuatro días en Oaxaca",
    3.3,
    (
        Exchange(
            "Tengo cuatro días en Oaxaca y no quiero correr. ¿Qué no me pierdo?",
            "1. **Monte Albán** a primera hora, antes del calor.\n"
            "2. **Mercado 20 de Noviembre**: tasajo en el pasillo de humo.\n"
            "3. **Hierve el Agua**, entre semana y con bañador.\n"
            "4. Una tarde sin plan en el barrio de Jalatlaco.",
        ),
        Exchange(
            "¿Y si llueve?",
            "Entonces el **Museo de las Culturas**, en Santo Domingo, y un chocolate "
            "largo enfrente. En julio suele llover solo por la tarde.",
        ),
    ),
    is_unread=True,
)

BET = Dialogue(
    "luna",
    "La apuesta del piano",
    0.2,
    (
        Exchange(
            "Te apuesto a que no sabes tocar el piano.",
            "Sé tocar tres canciones y media. *Me siento y soplo el polvo de las "
            "teclas.* La media es la mejor, porque siempre me interrumpen justo cuando",
            status="stopped",
        ),
    ),
)

LETTER = Dialogue(
    "assistant",
    "Cover letter for the library",
    5.7,
    (
        Exchange(
            "I am applying at the city library after ten years in a bookshop. One "
            "opening paragraph, no clichés.",
            "For ten years people have come to my counter knowing only the colour of "
            "a cover, and left with the book. I would like to do the same work where "
            "nobody has to buy it.",
        ),
        Exchange(
            "Oh, I like that. Is it too short?",
            "No. It makes one promise and gives one proof; a second paragraph can hold "
            "the dates.",
        ),
    ),
)
