Console.WriteLine("dualsparse");
