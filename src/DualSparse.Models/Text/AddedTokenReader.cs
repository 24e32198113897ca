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
            bool special = entry.Flag("special", false);
            var token = new AddedToken(
                entry.Child("id").AsInt(0, Vocabulary.MaxIds - 1),
                entry.Text("content"),
                special,
                entry.Flag("normalized", !special),
                entry.Flag("single_word", false),
                entry.Flag("lstrip", false),
                entry.Flag("rstrip", false));
            int known = vocabulary.Id(token.Content);
            if (known < 0 && !vocabulary.TryAdd(token.Content, token.Id))
            {
                throw entry.Child("id").Expected($"an id other than that of '{JsonField.Shorten(vocabulary.Token(token.Id)!)}'");
            }

            if (known >= 0 && known != token.Id)
            {
                throw entry.Child("id").Expected($"{known}, the id of '{JsonField.Shorten(token.Content)}' elsewhere in the file");
            }

            tokens.Add(token);
        }

        return tokens;
    }
}
