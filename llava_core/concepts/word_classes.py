"""The class of a word, one letter, as the rules of `llava_core.concepts.rules` read it.

Most words get the most frequent part of speech that TextBlob's dictionary (94,000 words, after Brill 1992) or its
endings give. What captions use otherwise than newspapers do stands in the lists below: nouns that are verbs after
a person ("actor signs copies"), persons and animals, gerunds that name a kind of thing ("swimming pool"). Left
out: upper case, since the captions that this was made for have none, and any memory of the words around, which
is the rules' part.
"""

import functools
from collections.abc import Iterable

AGENTS = frozenset(
    """
    accordionist actor actress adult animal archer artist astronaut athlete aunt author baby baker ballerina band
    banker barber barista bartender bat batsman bear beaver bee beggar biker bird boss bowler boxer boy boyfriend
    bride broadcaster brother buffalo bull builder bull bunny businessman businesswoman butcher butterfly camel
    captain carpenter cat catcher celebrity champion chef chick chicken child chimpanzee chipmunk clown coach
    comedian commuter conductor contestant contractor cook couple cow cowboy crab craftsman cricketer crocodile
    crow crowd customer cyclist dad dancer daughter deer defender dentist designer detective director diver
    doctor dog dolphin donkey dragonfly driver drummer duchess duck duckling duke eagle elder elephant employee
    engineer entertainer explorer falcon family fan farmer father fighter firefighter fireman fisherman flamingo
    florist fox friend frog gardener giraffe girl girlfriend goalkeeper goat golfer goose gorilla grandfather
    grandmother granny groom guard guest guide guitarist guy gymnast hairdresser hamster hedgehog hen hero
    hiker hippo horse host hummingbird hunter husband infant instructor jockey journalist judge juggler kangaroo
    keeper kid king kitten knight koala lad lady lawyer leader leopard lifeguard lion lizard lover magician maid
    male man manager mascot mayor mechanic merchant mermaid midfielder model mom monk monkey mother mountaineer
    mouse mum musician neighbour neighbor nun nurse officer operator orchestra organisation organization ostrich
    otter owl owner ox painter panda parent parrot participant passenger patient peacock pedestrian pelican
    penguin person performer philosopher photographer pianist pig pigeon pilgrim pilot pirate pitcher player
    plumber policeman politician pony porter potter president pride-goer priest prince princess prisoner producer
    professor protester pupil puppy queen quarterback rabbit racer racecar ranger raccoon rapper reader recruit
    referee reindeer reporter resident rhino rider robot rooster runner sailor salesman santa scientist sculptor
    seagull seal senior seller server shark sheep shepherd shopper singer sister skateboarder skater skier
    sloth snail snake snowboarder soldier son sparrow spectator spider squirrel staff stork striker student
    supporter surfer swan swimmer tailor teacher team teen teenager tiger toddler tourist tortoise trader
    traveler traveller troop turkey turtle uncle vendor veterinarian victim villager villain visitor volunteer
    waiter waitress warrior weaver whale wife winner witch wizard wolf woman worker writer youngster youth zebra
    audience army choir crew duo trio class congregation cast astronomer bridesmaid businessperson cameraman
    chairman chancellor colleague companion composer consumer dad diplomat editor executive fairy
    foal gamer gentleman girl governor graduate hairstylist inventor investor mare minister monster nanny novelist
    officer opponent orangutan outfielder pastor peasant poet puppet rower sibling sportsman stallion
    stylist superhero supermodel therapist toad trainer twin umpire veteran vet wrestler
    """.split()
)
"""Persons, animals and their groups: what stands after one of these and can be a verb is one."""

_IRREGULAR_AGENTS = frozenset(
    """
    people men women children kids police businessmen businesswomen policemen firemen fishermen ladies wolves
    geese mice oxen calves babies puppies ponies bunnies families celebrities butterflies armies fairies crowds
    salesmen craftsmen sportsmen gentlemen cowboys folks locals youths monkeys donkeys turkeys boys guys bees
    witches coaches bosses businesspeople heroes
    """.split()
)

NOUN_OR_VERB = frozenset(
    """
    act address aim answer approach arm attack award balance battle beat bend bite blast blaze bleed block bloom blossom blow
    board boat boil book bounce bow bowl box break breed brush build burst bus butt buy call camp carve cast catch
    cause challenge change charge chase chat check cheer circle clash clean climb cloud coach coat collapse colour color
    comb compete compare contact control cook copy cover crack crash crawl cross crowd crouch cruise cry cuddle cure cut cycle dance
    dash deal debate deck defeat delay design display dive dock drape draw dream dress drift drill drink drive drop
    dump dust embrace end escape exchange exercise experience explode eye face fall farm fear feature feed
    fence field fight file fill film finish fire fish fix flash flip float flood flow flower fly focus fold form
    frame freeze front frown fuel gather gaze glance glide glow grab graze greet grill grip guard guide hail hammer hand
    harvest haul head heat help hide hike hit hold host hug hunt hurry ice influence iron jog join journey
    judge juggle jump kick kiss kneel knit knock lace land laugh launch lead leak lean leap leave lecture
    lie lift light limit line link list live load lock look love mail map march mark match measure
    meet melt mine mix model mount mourn move name nap need nest note offer open order pack paddle paint park parade
    pass patrol pause pay peck pedal peek peer perch perform photograph picture pilot pile pin pitch place plan plant play
    plot plow point polish pose post pound pour practice practise praise pray present press print process produce
    profile promise protest pull punch purchase push question queue race rain raise rally reach read record
    reflect rehearse relax release remain repair report rescue research result return reveal review ride ring rise roar rock
    roll row rub rule run rush sail salute sample save scale score scratch scream search seat see serve set sew shade
    shake shape share shave showcase shelter shift shine ship shoot shop shout shovel show shower sign signal sing sink sip sit
    skate sketch ski skip sleep slice slide smell smile smoke snap sniff snow soak sort sound spark speak spin splash
    split spot spray spread sprint stack stage stain stamp stand stare start state steal steam steer step stick stop store
    storm stray stream stretch strike stroke stroll study style supply support surf surround surprise sweep swim swing switch
    tackle talk target taste taxi tear tend test thank throw tie toast top toss touch tour tow trace track trade
    trail train transfer transport trap travel trek trick trim trip try turn twist type use view visit voice vote
    wait wake walk wander want warm wash watch water wave wear weave weigh welcome whip win wind wing wink wish
    witness wonder work worry wrap wrestle yawn yell zoom
    """.split()
)
"""Nouns that captions use as verbs too, and the other way round."""

_BETTER_KNOWN_AS_NOUNS = frozenset(
    """
    book board bow bowl box bus camp cloud coat deck dress farm field file fire fish flower front hand ice lace lane
    light line list map mine model park picture plan plant plot point post print profile record ring rock row scale
    seat set shade shape shop shower sign smoke snow spot stage stain stamp state steam storm stream style taxi test
    tie top tour track trail train trip type view voice water wave wind wing work display design award end feature
    form face cover cast head ship store study target step sound spark vote sample light leave drink sign boat
    colour color eye limit crack wall ski sketch sail score skate tear trap vote wish worry catch cause challenge change
    charge check circle comb copy cure cut cycle deal debate dream drill drop dust exercise experience fall fear fight
    flash flood form frame hike hit hunt iron journey judge juggle knit lock look march measure mix nap need nest
    order pack paddle paint pass pedal pile pin pitch present press process produce profile promise punch race rain
    report rescue research result roll rule search share shelter shift show shot sip slice slide smell snack
    sort spin splash split spray spread sprint stack stop strike stroke stroll supply surprise sweep swing switch talk
    taste tie toast touch trace trade transfer transport trek trick twist use visit walk watch weight wink wonder
    """.split()
)
"""Of these, those whose form in -s is rather a plural ("city lights") than a verb ("the sun rises")."""

_MADE_GERUNDS = frozenset(
    "building drawing engraving landing meeting opening painting printing recording writing".split()
)
"""Gerunds that are a thing without a noun behind them, too."""

THING_GERUNDS = frozenset(
    """
    baking bathing bowling boxing camping carving casting chewing cleaning climbing cooking cutting
    cycling dancing dining diving dressing drinking driving exercising farming
    fencing filing fishing flooring frying gambling gardening greeting hiking hunting jogging knitting
    lighting living manufacturing marketing measuring mining mixing mowing parking
    planting plumbing racing reading recycling riding rocking roofing rowing
    running sailing sewing shopping shooting singing skating skiing sleeping speaking spinning stepping stuffing
    styling surfing swimming teaching touring training vending viewing waiting walking washing weaving wedding
    weightlifting welding wrapping wrestling
    """.split()
)
"""Gerunds that name a kind of thing before a noun: a swimming pool, a cutting board."""

_ALWAYS_NOUNS = frozenset(
    """
    adult airport baby background bloom bow bronze chief china chocolate clip close-up closeup cream cut dawn denim
    double-decker dusk east exterior felt female fiber fibre fun glass glasses gold goods groceries hair half hip hood
    hop ice interior jazz jeans kitchen leather left lobby male marble match mid net north olympic orange outdoors
    pants past plastic pop portrait retro rose sand scarf selfie senior set shades shorts silhouette silver south
    spinach still-life stock string teen top tv vector velvet west wood
    anything being bedding ceiling clothing everything flooring king legging lettering
    morning nothing offspring pudding railing ring seating sibling sightseeing something spring string thing wedding
    wing
    """.split()
) - {"past", "felt"}
"""Words that the dictionary knows as something else, or that end as gerunds do."""

_COLOURS = frozenset(
    """
    red blue green yellow purple pink black white grey gray brown beige turquoise violet indigo maroon navy teal
    magenta cyan khaki lilac lavender burgundy ivory crimson scarlet mauve aqua
    """.split()
)

_ADJECTIVES = frozenset(
    """
    aerial seamless isolated vintage funny cute elderly empty open own young old early fresh raw golden wild baby-blue
    handmade homemade digital abstract stained elegant wooden woolen snowy misty dusty sunny cloudy rainy foggy icy
    colorful colourful handsome pretty lovely lonely friendly ugly silly curly deadly holy daily weekly yearly
    monthly live tiny huge giant little big small large long short tall high low deep wide narrow thick thin
    flat round square blank clear bright dark pale soft hard smooth rough wet dry hot cold warm cool clean dirty
    rusty broken busy calm quiet loud happy sad angry cheerful sleepy tired lazy serious modern ancient antique
    traditional contemporary classic medieval gothic rustic rural urban tropical exotic chic cozy cosy stylish
    trendy gorgeous beautiful stunning amazing incredible magnificent majestic scenic picturesque panoramic
    floral striped checkered plaid dotted geometric glossy shiny matte sparkling blurred blurry plain underwater
    derelict abandoned ruined
    """.split()
)
_MORE_ADJECTIVES = frozenset(
    """
    other same more most many much few several such first second third fourth fifth last next only less least
    various
    """.split()
)
"""They stand before a noun but are none without it: "each other", "at first"."""

_CLOSED: dict[str, str] = {
    "D": """a an the this these those his her its their my your our some any each every another no all both either
    neither""",
    "Q": """one two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty thirty forty fifty
    hundred thousand million dozen""",
    "I": """of in on at with from into onto over under above below beneath beside besides between behind among amongst
    along across through throughout around about against towards toward to near inside outside within upon off out
    past during until till since as like than per via despite except amid plus versus vs beyond down if because
    that whether though although where up""",
    "E": "after before while without when by for how why whilst then not",
    "T": "to can could will would shall should must may might do does did don doesn didn let cannot gonna wanna",
    "W": """i you he she it we they me him them us who whom which what whose there here himself herself itself themselves
    myself yourself ourselves someone something everyone everything anyone anything nobody nothing others mine yours
    everybody somebody""",
    "C": "and or & nor",
    "H": "'s ’s ' ’",
    "v": """is are was were be been being am has have had having go goes went gone come comes came get gets got make
    makes made take takes took give gives gave keep keeps kept put puts become becomes became see sees say says said
    know knows think thinks want wants seem seems appear appears begin begins began bring brings brought arrive
    arrives attend attends celebrate celebrates compete competes wear wears spend spends enjoy enjoys include
    includes discuss explains pose poses perform performs sit sits stand stands eat eats ate save saves""",
    "O": """just also even together away ago ever never always often sometimes again already now soon today tomorrow
    yesterday tonight once twice too so yet but please yes oh well alone else perhaps maybe apart forward back-to-back
    n't 't 're 've 'll 'd 'm etc asleep ashore aboard afloat ahead abroad nearby""",
    "R": "very really quite most-ly rather extremely",
}
_BY_WORD: dict[str, str] = {word: letter for letter, words in _CLOSED.items() for word in words.split()}
_BY_WORD |= {"to": "T", "close": "K", "up": "U", "front": "F"}

_BY_TAG = {
    **dict.fromkeys(("DT", "PRP$", "PDT"), "D"),
    "CD": "Q",
    **dict.fromkeys(("JJ", "JJR", "JJS"), "J"),
    **dict.fromkeys(("NN", "NNP", "FW", "NN|JJ", "NN|CD", "JJ|NP"), "N"),
    **dict.fromkeys(("NNS", "NNPS"), "S"),
    "VBG": "G",
    **dict.fromkeys(("VBN", "VBD"), "P"),
    **dict.fromkeys(("VB", "VBP"), "V"),
    "VBZ": "Z",
    "MD": "T",
    **dict.fromkeys(("RB", "RBR", "RBS"), "O"),
    **dict.fromkeys(("IN", "RP"), "I"),
    "WRB": "E",
    "CC": "C",
    "TO": "T",
    "POS": "H",
    **dict.fromkeys(("PRP", "WP", "WP$", "WDT", "EX"), "W"),
}


@functools.lru_cache(maxsize=1 << 18)
def word_class(word: str) -> str:
    """Return the class of a word in lower case.

    Returns
    -------
    str
        One letter: D article or possessive, Q number, J adjective, M adjective that is no noun by itself, L
        colour, N noun, S plural, A and B person or animal and persons, u, g and G gerund (a thing, of a thing, or neither), P
        participle or past, v and V verb (never a noun, or rather not), Z verb in -s, Y noun or verb, X the same in -s, R and O adverbs, I and E
        prepositions (E before gerunds), T to and modals, C and, H 's, W pronoun, K close, U up, F front; O also
        for anything that is no word.

    Examples
    --------
    >>> "".join(map(word_class, "the old sailor repairs a fishing net".split()))
    'DJAXDgN'
    """
    if not word[0].isalnum() and word not in _BY_WORD:
        return "O"
    if word[0].isdigit():
        return "J" if "-" in word else "Q"
    listed = _listed(word)
    if listed:
        return listed
    whole, hyphen, last = word.rpartition("-")
    if hyphen and whole and last:
        known = word_class(last)
        return known if known in "JLNSABP" else "J" if known in "Gg" else "N"
    return _from_dictionary(word)


def _listed(word: str) -> str | None:
    """Return the class that a list gives; the lists do not hold plurals, and so singulars are tried too."""
    if word in _BY_WORD:
        return _BY_WORD[word]
    if word in _COLOURS:
        return "L"
    if word in _MORE_ADJECTIVES:
        return "M"
    if word in AGENTS:
        return "A"
    if word in _IRREGULAR_AGENTS:
        return "B"
    if word in NOUN_OR_VERB and word not in _ALWAYS_NOUNS:
        return "Y"
    if word in _ALWAYS_NOUNS:
        return "N"
    if word in _MADE_GERUNDS:
        return "u"
    if word in THING_GERUNDS:
        return "g"
    if word in _ADJECTIVES:
        return "J"
    singulars = _singulars(word)
    if _any_in(AGENTS, singulars):
        return "B" if not _any_in(NOUN_OR_VERB, singulars) else "X"
    if _any_in(NOUN_OR_VERB, singulars):
        return "X" if _any_in(_BETTER_KNOWN_AS_NOUNS, singulars) else "Z"
    if _any_in(_ALWAYS_NOUNS, singulars) or _any_in(_COLOURS, singulars):
        return "S"
    return None


def _from_dictionary(word: str) -> str:
    from textblob.en import tag

    (_, known), *_ = tag(word, tokenize=False)
    letter = _BY_TAG.get(known, "O" if known in {"RP", "UH", "SYM", "LS", ":", "."} else "N")
    if letter == "N" and word.endswith("ing") and len(word) > 5:
        return "g"
    if letter == "N" and word.endswith(("ist", "ian", "man", "woman", "person")) and len(word) > 5:
        return "A"
    if letter == "S" and word.endswith(("ists", "ians", "men")) and len(word) > 5:
        return "B"
    return "R" if letter == "O" and word.endswith("ly") else letter


def _singulars(word: str) -> list[str]:
    """Return what a plural or a third person may come from."""
    if not word.endswith("s") or word.endswith("ss"):
        return []
    found = [word[:-1]]
    if word.endswith("ies"):
        found.append(word[:-3] + "y")
    if word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        found.append(word[:-2])
    return found


def _any_in(words: frozenset[str], candidates: Iterable[str]) -> bool:
    return any(candidate in words for candidate in candidates)
