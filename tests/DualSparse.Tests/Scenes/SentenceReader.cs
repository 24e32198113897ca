using System.Text.RegularExpressions;

namespace DualSparse.Tests.Scenes;

/// <summary>Whether a sentence holds, by its words and by what a picture's pixels show.</summary>
internal static class SentenceReader
{
    private const string Subject = "(?:red|green|blue|yellow|black|white)?(?: ?(?:circle|square|triangle|item)s?)?";

    private static readonly string[] s_numbers = ["no", "one", "two", "three", "four"];

    private static readonly string[] s_boxes = ["left", "middle", "right"];

    private static readonly (string Form, Func<SeenScene, string[], bool> Holds)[] s_forms =
    [
        ("(?:There is|The picture has) a (S)", (scene, word) => Any(scene, word[0]).Any()),
        ("There (?:is|are) exactly (N) (S)", (scene, word) => Any(scene, word[1]).Count() == Number(word[0])),
        ("Exactly (N) items? (?:is|are) (?:a )?(S)", (scene, word) => Any(scene, word[1]).Count() == Number(word[0])),
        ("There are more (S) than (S)", (scene, word) => Any(scene, word[0]).Count() > Any(scene, word[1]).Count()),
        ("There are fewer (S) than (S)", (scene, word) => Any(scene, word[0]).Count() < Any(scene, word[1]).Count()),
        ("There is a (S) in the (B) box", (scene, word) => Any(scene, word[0]).Any(item => item.Box == Array.IndexOf(s_boxes, word[1]))),
        ("The (B) box contains a (S)", (scene, word) => Any(scene, word[1]).Any(item => item.Box == Array.IndexOf(s_boxes, word[0]))),
        ("The (S) is left of the (S)", (scene, word) => Apart(scene, word) < 0),
        ("The (S) is right of the (S)", (scene, word) => Apart(scene, word) > 0),
        ("A (S) touches the wall", (scene, word) => Any(scene, word[0]).Any(item => item.AtWall)),
        ("There is a (S) touching the wall", (scene, word) => Any(scene, word[0]).Any(item => item.AtWall)),
        ("A (S) touches a (S)", (scene, word) => Any(scene, word[0]).Any(one => Any(scene, word[1]).Any(one.Touches))),
        ("(?:There is a tower with|A tower has) (N) blocks", (scene, word) => scene.Towers.Any(tower => tower.Length == Number(word[0]))),
        ("There is a tower with a (S) block at the top", (scene, word) => scene.Towers.Any(tower => tower[^1].Colour == word[0])),
        ("There is a tower with a (S) block at the base", (scene, word) => scene.Towers.Any(tower => tower[0].Colour == word[0])),
    ];

    /// <summary>How many forms of sentences there are.</summary>
    public static int Forms => s_forms.Length;

    /// <summary>Whether a sentence holds, and which form it has.</summary>
    public static (bool Holds, int Form) Read(SeenScene scene, string sentence)
    {
        for (int form = 0; form < s_forms.Length; form++)
        {
            string pattern = s_forms[form].Form.Replace("(S)", $"({Subject})", StringComparison.Ordinal).Replace("(N)", "(one|two|three|four)", StringComparison.Ordinal).Replace("(B)", "(left|middle|right)", StringComparison.Ordinal);
            if (Regex.Match(sentence, $"^{pattern}\\.$") is { Success: true } match)
                return (s_forms[form].Holds(scene, [.. match.Groups.Values.Skip(1).Select(group => group.Value)]), form);
        }

        throw new ArgumentException($"'{sentence}' has no known form");
    }

    private static IEnumerable<SeenItem> Any(SeenScene scene, string subject)
    {
        string[] words = [.. subject.Split(' ').Select(word => word.TrimEnd('s')).Where(word => word != "item")];
        return scene.Items.Where(item => words.All(word => word == item.Colour || word == item.Shape));
    }

    // From the middle of the one to that of the other; each is the only one of its look.
    private static int Apart(SeenScene scene, string[] words)
    {
        SeenItem one = Assert.Single(Any(scene, words[0])), other = Assert.Single(Any(scene, words[1]));
        int apart = one.Left + one.Right - other.Left - other.Right;
        Assert.True(Math.Abs(apart) >= 16, "neither is clearly left of the other");
        return apart;
    }

    private static int Number(string word) => Array.IndexOf(s_numbers, word);
}
