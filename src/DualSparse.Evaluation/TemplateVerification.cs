using System.Text.Json;
using DualSparse.Models;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Evaluation;

/// <summary>How chat templates did.</summary>
/// <param name="Cases">Renderings compared.</param>
/// <param name="Errors">Of these, the ones that have to be an error.</param>
/// <param name="Differences">A sentence for each that differs.</param>
/// <param name="Date">The date for which the cases with a date are the same; null: no template asked for it.</param>
internal sealed record TemplateReport(int Cases, int Errors, IReadOnlyList<string> Differences, DateTime? Date);

/// <summary>
/// Renders the templates of a folder and compares them with another implementation's results: templates/NAME.jinja, cases.json (an object of named
/// sets of variables) and expected.json (by template and case, <c>{"ok": text}</c> or <c>{"err": message}</c>; what the message says doesn't count).
/// </summary>
internal static class TemplateVerification
{
    // Bounds what a wrong file could take.
    private const long MaxFileBytes = 1L << 28;

    // Results that hold a date were made on some day; older ones than this need the date by hand.
    private const int MostDays = 800;

    /// <summary>Runs all cases.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="date">The date that the templates are told; null: the last before tomorrow for which a result with a date is the same.</param>
    /// <exception cref="ModelFormatException">A file is missing or not as described.</exception>
    public static TemplateReport Compare(string folder, DateTime? date = null)
    {
        var cases = Read(folder, "cases.json");
        var expected = Read(folder, "expected.json");
        List<string> differences = [];
        int count = 0, errors = 0;
        bool timed = false;
        foreach (var (name, results) in expected.Children())
        {
            string file = Path.Combine(folder, "templates", name + ".jinja");
            ChatTemplate? template = null;
            string? unparsed = null;
            try
            {
                template = ChatTemplate.Read(file);
            }
            catch (ChatTemplateException e)
            {
                unparsed = e.Message;
            }

            foreach (var (key, result) in results.Children())
            {
                count++;
                var variables = cases.Child(key).Element;
                if (variables.ValueKind != JsonValueKind.Object)
                    throw new ModelFormatException($"{cases.File}: there is no case '{key}', which expected.json has for {name}");
                string? text = result.Text("ok", null);
                errors += text is null ? 1 : 0;
                var (ours, error, askedTime) = unparsed is null ? Render(template!, variables, date ?? DateTime.Now) : (null, unparsed, false);
                if (askedTime && date is null && text is not null && ours != text)
                {
                    date = Date(template!, variables, text);
                    ours = date is { } found ? Render(template!, variables, found).Text : ours;
                }

                timed |= askedTime;
                if (Difference(text, ours, error) is { } difference)
                    differences.Add($"{name}, {key}: {difference}");
            }
        }

        return count > 0 ? new(count, errors, differences, timed ? date ?? DateTime.Now : null) : throw new ModelFormatException($"{expected.File} holds no result");
    }

    private static (string? Text, string? Error, bool AskedTime) Render(ChatTemplate template, JsonElement variables, DateTime now)
    {
        bool askedTime = false;
        try
        {
            return (template.RenderVariables(variables, now, out askedTime), null, askedTime);
        }
        catch (ChatTemplateException e)
        {
            return (null, e.Message, askedTime);
        }
    }

    private static DateTime? Date(ChatTemplate template, JsonElement variables, string expected)
    {
        var today = DateTime.Today;
        for (int days = -1; days < MostDays; days++)
        {
            if (Render(template, variables, today.AddDays(-days)).Text == expected)
                return today.AddDays(-days);
        }

        return null;
    }

    private static string? Difference(string? expected, string? ours, string? error)
    {
        if (expected is null)
            return ours is null ? null : $"it gives {Show(ours, 0)}, expected an error";
        if (ours is null)
            return $"it gives the error '{error}', expected {Show(expected, 0)}";
        int same = ours.AsSpan().CommonPrefixLength(expected);
        return ours == expected ? null : $"at character {same} it has {Show(ours, same)}, expected {Show(expected, same)}";
    }

    private static string Show(string text, int from) => JsonSerializer.Serialize(text[Math.Max(0, from - 10)..Math.Min(text.Length, from + 50)], s_plain);

    private static readonly JsonSerializerOptions s_plain = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static JsonField Read(string folder, string file)
    {
        string path = Path.Combine(folder, file);
        return JsonField.Parse(ModelFile.Read(path, MaxFileBytes), path);
    }
}
