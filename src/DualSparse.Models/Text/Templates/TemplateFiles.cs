using System.Text;
using System.Text.Json;

namespace DualSparse.Models.Text.Templates;

/// <summary>Where a folder keeps its chat templates.</summary>
internal static class TemplateFiles
{
    // A tokenizer's configuration holds thousands of added tokens beside the template.
    private const long MaxFileBytes = 1L << 26;

    // The longest in use have some tens of thousand characters.
    private const long MaxTemplateBytes = 1L << 20;

    /// <summary>The templates of a folder by their names, in the order of who says them: chat_template.jinja, chat_template.json, tokenizer_config.json.</summary>
    /// <exception cref="ModelFormatException">A file is damaged.</exception>
    /// <exception cref="ChatTemplateException">A template can't be parsed.</exception>
    public static IReadOnlyDictionary<string, TemplateProgram> Find(string folder)
    {
        string own = Path.Combine(folder, "chat_template.jinja");
        if (ModelFile.Exists(own))
            return new Dictionary<string, TemplateProgram> { ["default"] = Read(own) };
        foreach (string file in (string[])["chat_template.json", "tokenizer_config.json"])
        {
            string path = Path.Combine(folder, file);
            if (Parse(path)?.Child("chat_template") is { IsNull: false } field)
                return Named(field, file);
        }

        return new Dictionary<string, TemplateProgram>();
    }

    /// <summary>The templates that a file holds: one, or those of a JSON file's <c>chat_template</c>.</summary>
    public static IReadOnlyDictionary<string, TemplateProgram> Open(string file)
    {
        if (!file.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
            return new Dictionary<string, TemplateProgram> { ["default"] = Read(file) };
        var config = Parse(file) ?? throw new ModelFormatException($"{file}: there is no such file");
        return config.Child("chat_template") is { IsNull: false } field ? Named(field, Path.GetFileName(file)) : throw config.Error("it has no 'chat_template'");
    }

    /// <summary>A JSON file of a folder; null where there is none.</summary>
    public static JsonField? Parse(string path)
    {
        if (ModelFile.TryRead(path, MaxFileBytes) is not { } bytes)
            return null;
        var field = JsonField.Parse(bytes, path);
        return field.Element.ValueKind == JsonValueKind.Object ? field : throw field.Expected("an object");
    }

    private static TemplateProgram Read(string path) => new(Encoding.UTF8.GetString(Utf8Text.Check(ModelFile.Read(path, MaxTemplateBytes), path)), Path.GetFileName(path));

    // One template, or a list of {name, template}.
    private static Dictionary<string, TemplateProgram> Named(JsonField field, string file)
    {
        Dictionary<string, TemplateProgram> programs = new(StringComparer.Ordinal);
        if (field.Element.ValueKind == JsonValueKind.String)
            programs["default"] = new(field.AsText(), $"{file} chat_template");
        else
        {
            foreach (var entry in field.Items())
                programs[entry.Text("name")] = new(entry.Text("template"), $"{file} chat_template {entry.Text("name")}");
        }

        return programs;
    }
}
