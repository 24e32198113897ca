namespace DualSparse.Models.Text;

/// <summary>Reads the section <c>added_tokens</c>.</summary>
internal static class AddedTokenReader
{
    /// <summary>Reads the tokens and adds those to <paramref name="vocabulary"/> that it lacks.</summary>
    /// <exception cref="ModelFormatException">A token's id is another's, or the vocabulary has the token under another id.</exception>
    public static List<AddedToken> Read(JsonField section, Vocabulary vocabulary)
    {
        List<AddedToken> tokens = [];
        if (section.IsNull)
        {
            return tokens;
        }

        foreach (JsonField entry in section.Items())
        {
            JsonField id = entry.Child("id");
            AddedToken token = Token(entry, id.AsInt(0, Vocabulary.MaxIds - 1));
            Enter(token, vocabulary, id);
            tokens.Add(token);
        }

        return tokens;
    }

    /// <summary>The token that an object describes.</summary>
    public static AddedToken Token(JsonField entry, int id)
    {
        bool special = entry.Flag("special", false);
        return new(
            id,
            entry.Text("content"),
            special,
            entry.Flag("normalized", !special),
            entry.Flag("single_word", false),
            entry.Flag("lstrip", false),
            entry.Flag("rstrip", false));
    }

    /// <summary>Adds a token to the vocabulary where it isn't there yet.</summary>
    /// <param name="token">The token.</param>
    /// <param name="vocabulary">Tokens and ids.</param>
    /// <param name="field">Where its id stands, for messages.</param>
    /// <exception cref="ModelFormatException">Its id is another's, or the vocabulary has it under another id.</exception>
    public static void Enter(AddedToken token, Vocabulary vocabulary, JsonField field)
    {
        int known = vocabulary.Id(token.Content);
        if (known < 0 && !vocabulary.TryAdd(token.Content, token.Id))
        {
            throw field.Expected($"an id other than that of '{JsonField.Shorten(vocabulary.Token(token.Id)!)}'");
        }

        if (known >= 0 && known != token.Id)
        {
            throw field.Expected($"{known}, the id of '{JsonField.Shorten(token.Content)}' elsewhere");
        }
    }
}
